/* SPDX-License-Identifier: Apache-2.0 */
/* Termination messages: what a guest may have left in the place of one, and the end of output. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/pod/message.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static char dir[64], path[160];

static void
set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/message.XXXXXX");
	cr_assert(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/m", dir);
}

static void
clean_up(void)
{
	(void)rmdir(path);
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(message, .init = set_up, .fini = clean_up);

static void
put(const char *bytes, size_t n)
{
	auto_close int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	cr_assert(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
}

Test(message, is_read_once)
{
	struct error err = ERROR_INIT;
	char out[MESSAGE_MAX + 1];
	struct stat st;

	REQUIRE_OK(message_make(dir, "m", &err), &err);
	cr_assert(stat(path, &st) == 0);
	CHECK_EQ(st.st_mode & 0777, 0666);
	CHECK_EQ(message_make(dir, "m", &err), -1, "there is one");
	put("one\0two\n", 8);
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_STR(out, "one two\n");
	CHECK_EQ(access(path, F_OK), -1);
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_STR(out, "");
}

Test(message, keeps_the_end)
{
	struct error err = ERROR_INIT;
	char out[MESSAGE_MAX + 1], text[5000];

	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 3, "end", 3);
	REQUIRE_OK(message_make(dir, "m", &err), &err);
	put(text, sizeof(text));
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_EQ(strlen(out), MESSAGE_MAX);
	CHECK_STR(out + MESSAGE_MAX - 3, "end");
	REQUIRE_OK(message_make(dir, "m", &err), &err);
	put(text, sizeof(text));
	message_take(dir, "m", out, 5);
	CHECK_STR(out, "xxend");
}

/* A FIFO without a writer would block, a link would show a file of the host. */
Test(message, what_is_no_plain_file_is_empty)
{
	char out[MESSAGE_MAX + 1];

	cr_assert(symlink("/etc/passwd", path) == 0);
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_STR(out, "");
	CHECK_EQ(access(path, F_OK), -1);
	cr_assert(mkfifo(path, 0666) == 0);
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_STR(out, "");
	cr_assert(mkdir(path, 0777) == 0);
	message_take(dir, "m", out, MESSAGE_MAX);
	CHECK_STR(out, "");
}

Test(message, end_of_the_output)
{
	struct message_tail tail = { .n = 0 };
	char out[MESSAGE_TAIL_MAX + 1], line[32], big[3 * MESSAGE_TAIL_MAX];

	message_from_output(&tail, out, MESSAGE_TAIL_MAX);
	CHECK_STR(out, "");
	message_add_output(&tail, "first\n", 6);
	message_from_output(&tail, out, MESSAGE_TAIL_MAX);
	CHECK_STR(out, "first\n");
	for (int i = 0; i < 100; i++)
		message_add_output(&tail, line, (size_t)snprintf(line, sizeof(line), "%d\n", i));
	message_from_output(&tail, out, MESSAGE_TAIL_MAX);
	CHECK_EQ(strncmp(out, "20\n21\n", 6), 0, "%.20s", out);
	message_from_output(&tail, out, 4);
	CHECK_STR(out, "\n99\n");
	memset(big, 'y', sizeof(big));
	memcpy(big + sizeof(big) - 4, "last", 4);
	message_add_output(&tail, big, sizeof(big));
	CHECK_EQ(tail.n, MESSAGE_TAIL_MAX);
	message_from_output(&tail, out, MESSAGE_TAIL_MAX);
	CHECK_STR(out + MESSAGE_TAIL_MAX - 5, "ylast");
	message_add_output(&tail, "!", 1);
	message_from_output(&tail, out, 6);
	CHECK_STR(out, "ylast!");
}

Test(message, controls_nothing)
{
	char text[] = "a\033[2Jb\nc\x7f";

	message_make_printable(text);
	CHECK_STR(text, "a [2Jb c ");
}
