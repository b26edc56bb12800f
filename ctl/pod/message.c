/* SPDX-License-Identifier: Apache-2.0 */
/* Termination messages; see message.h. */
#include "ctl/pod/message.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

void
message_name(const char *container, unsigned int run, char *out, size_t size)
{
	(void)snprintf(out, size, "message-%.63s-%u", container, run);
}

int
message_make(const char *dir, const char *name, struct error *err)
{
	auto_close int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd =
		top < 0 ? -1
			: openat(top, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				 0666);

	/* Any user of the container may write it. */
	if (fd < 0 || fchmod(fd, 0666) < 0)
		return error_sys(err, "failed to create the file of a termination message");
	return 0;
}

/* Copies n bytes as a text, which has no NUL. */
static void
message_copy(const char *from, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(from[i] ? from[i] : ' ');
	out[n] = '\0';
}

void
message_take(const char *dir, const char *name, char *out, size_t max)
{
	auto_close int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* O_NONBLOCK: opening a FIFO does not wait for its other end. */
	auto_close int fd =
		top < 0 ? -1
			: openat(top, name,
				 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char text[MESSAGE_MAX];
	struct stat st;
	ssize_t n = 0;

	if (max > sizeof(text))
		max = sizeof(text);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = RETRY_EINTR(pread(fd, text, max,
				      st.st_size > (off_t)max ? st.st_size - (off_t)max : 0));
	message_copy(text, n > 0 ? (size_t)n : 0, out);
	if (top >= 0)
		(void)unlinkat(top, name, 0);
}

void
message_add_output(struct message_tail *tail, const void *data, size_t n)
{
	const char *from = data;
	size_t over;

	if (n > sizeof(tail->text)) {
		from += n - sizeof(tail->text);
		n = sizeof(tail->text);
	}
	over = tail->n + n > sizeof(tail->text) ? tail->n + n - sizeof(tail->text) : 0;
	memmove(tail->text, tail->text + over, tail->n - over);
	memcpy(tail->text + tail->n - over, from, n);
	tail->n += n - over;
}

void
message_from_output(const struct message_tail *tail, char *out, size_t max)
{
	size_t from = tail->n, lines = 0;

	for (; from > 0 && tail->n - from < max; from--) {
		/* The newline at the very end begins no line. */
		lines += tail->text[from - 1] == '\n' && from < tail->n;
		if (lines == MESSAGE_TAIL_LINES)
			break;
	}
	message_copy(tail->text + from, tail->n - from, out);
}

void
message_make_printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = ' ';
}
