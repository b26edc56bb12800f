/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for a reader that connects: kept in the ring until then, sent as whole lines, also to
 * a second connection, without blocking. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/server/logsink.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "tests/support/check.h"

static struct loop *loop;
static struct logsink *sink;
static struct error err;
static char dir[] = "/tmp/test-logsink-XXXXXX", path[64];
static char text[8u << 20];
static size_t n_text;

static void
up(void)
{
	char address[80];

	REQUIRE(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(address, sizeof(address), "unix://%s", path);
	loop = loop_new(&err);
	REQUIRE(loop);
	sink = logsink_new_at(loop, address, &err);
	REQUIRE(sink, "%s", err.msg);
}

static void
down(void)
{
	logsink_free(sink);
	loop_free(loop);
	CHECK_EQ(rmdir(dir), 0, "nothing is left behind");
}

TestSuite(logsink, .init = up, .fini = down);

static void
settle(void)
{
	for (int i = 0; i < 20; i++)
		REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

static int
dial(int size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	REQUIRE_GE(fd, 0);
	if (size > 0)
		REQUIRE_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	REQUIRE_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Appends what is there to text, letting the sink go on. */
static void
slurp(int fd)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		ssize_t n;

		settle();
		while ((n = recv(fd, text + n_text, sizeof(text) - n_text - 1, MSG_DONTWAIT)) > 0) {
			n_text += (size_t)n;
			quiet = 0;
			settle();
		}
	}
	text[n_text] = '\0';
}

/* All lines that were read so far. */
static void
acknowledge(int fd)
{
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		REQUIRE_EQ(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

static size_t
count(const char *what)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void
expect_whole_lines(void)
{
	size_t lines = 0;

	for (char *at = text; *at; lines++) {
		char *end = strchr(at, '\n');

		REQUIRE(end, "the last line has its end");
		REQUIRE(at[0] == '{' && end[-1] == '}', "%.*s", (int)(end - at), at);
		at = end + 1;
	}
	CHECK_GT(lines, 0);
}

Test(logsink, keeps_lines_until_somebody_comes)
{
	int fd;

	log_info("test", "before a reader");
	settle();
	fd = dial(0);
	slurp(fd);
	log_info("test", "with a reader");
	slurp(fd);
	expect_whole_lines();
	CHECK_EQ(count("before a reader"), 1);
	CHECK_EQ(count("with a reader"), 1);
	close(fd);
}

Test(logsink, comes_back_after_the_end)
{
	int fd = dial(0);

	slurp(fd);
	log_info("test", "first");
	slurp(fd);
	acknowledge(fd);
	close(fd);
	settle();
	log_info("test", "between");
	settle();
	fd = dial(0);
	slurp(fd);
	log_info("test", "second");
	slurp(fd);
	expect_whole_lines();
	CHECK_EQ(count("\"first\""), 1);
	CHECK_EQ(count("between"), 1, "a line without a reader is not lost");
	CHECK_EQ(count("second"), 1);
	/* The newest gets the lines, the older one its end. */
	int newer = dial(0);
	char byte;
	settle();
	CHECK_EQ(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	n_text = 0;
	log_info("test", "third");
	slurp(newer);
	CHECK_EQ(count("third"), 1);
	close(fd);
	close(newer);
}

/* Lines that a reader has not read, not acknowledged, or read only in part are sent to the next
 * reader. */
Test(logsink, what_nobody_has_read_is_told_again)
{
	int fd = dial(0);
	char piece[10];

	settle();
	for (int i = 0; i < 3; i++)
		log_info("test", "number %d", i);
	settle();
	REQUIRE_EQ(recv(fd, piece, sizeof(piece), 0), sizeof(piece));
	close(fd);
	settle();
	fd = dial(0);
	slurp(fd);
	expect_whole_lines();
	for (int i = 0; i < 3; i++) {
		snprintf(piece, sizeof(piece), "number %d", i);
		CHECK_EQ(count(piece), 1, "%s", piece);
	}
	/* Two of the three are acknowledged. */
	REQUIRE_EQ(send(fd, "\n\n", 2, 0), 2);
	close(fd);
	settle();
	n_text = 0;
	fd = dial(0);
	slurp(fd);
	expect_whole_lines();
	CHECK_EQ(count("number 0") + count("number 1"), 0);
	CHECK_EQ(count("number 2"), 1);
	/* More than there are, and other bytes, are no harm. */
	REQUIRE_EQ(send(fd, "\n\n\nxx\n\n", 7, 0), 7);
	settle();
	log_info("test", "number 3");
	close(fd);
	settle();
	n_text = 0;
	fd = dial(0);
	slurp(fd);
	CHECK_EQ(count("number 2"), 0);
	CHECK_EQ(count("number 3"), 1);
	close(fd);
}

#define VISITS 1000

/* A reader connects, reads everything, a little or nothing, and disconnects, repeatedly; lines
 * are written before, between and after: every line reaches some reader whole. */
Test(logsink, comes_stalls_and_goes)
{
	static bool seen[3 * VISITS];
	uint64_t dropped = log_dropped();
	unsigned int missing = 0;

	for (int i = 0; i < VISITS; i++) {
		int fd;

		log_info("test", "visit %d.", 3 * i);
		fd = dial(i % 2 ? 4096 : 0);
		settle();
		log_info("test", "visit %d.", 3 * i + 1);
		n_text = 0;
		if (i % 3 == 0 || i + 1 == VISITS)
			slurp(fd);
		else if (i % 3 == 1)
			n_text = (size_t)recv(fd, text, 300, 0);
		text[n_text] = '\0';
		if (i % 5 == 0)
			acknowledge(fd);
		log_info("test", "visit %d.", 3 * i + 2);
		if (i + 1 == VISITS)
			slurp(fd);
		close(fd);
		settle();
		for (const char *at = text; (at = strstr(at, "visit ")); at++) {
			const char *end = strchr(at, '\n');

			if (end)
				seen[atoi(at + 6)] = true;
		}
	}
	for (int i = 0; i < 3 * VISITS; i++)
		missing += !seen[i];
	CHECK_EQ(missing, 0, "%u lines are missing", missing);
	CHECK_EQ(log_dropped(), dropped);
}

Test(logsink, who_does_not_read_costs_lines_and_nothing_else)
{
	uint64_t dropped = log_dropped();
	int fd = dial(4096);

	settle();
	for (int i = 0; i < 20000; i++)
		log_info("test", "line %d of many that are longer than a little", i);
	CHECK_GT(log_dropped(), dropped);
	slurp(fd);
	log_info("test", "the last");
	slurp(fd);
	expect_whole_lines();
	CHECK_EQ(count("line 0 of"), 1);
	CHECK_EQ(count("the last"), 1);
	CHECK_GE(count("dropped"), 1, "the loss is reported");
	close(fd);
}

Test(logsink, port_that_cannot_be_had)
{
	struct logsink *other = logsink_new_at(loop, "unix:///nonexistent/log", &err);

	REQUIRE(other, "there is always standard error");
	logsink_free(other);
}
