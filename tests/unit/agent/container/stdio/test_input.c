/* SPDX-License-Identifier: Apache-2.0 */
/* stdin: full pipes, order, closing, terminals and their size. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/stdio/stdio.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/terminal.h"

struct writer {
	/* first */
	struct stdio_write write;
	int done;
	struct error err;
	char order;
};

static struct loop *loop;
static struct input in;
/* the process's end */
static int far = -1;
static char order[16];

static void
done(struct stdio_write *w, const struct error *err)
{
	struct writer *writer = (struct writer *)w;

	writer->done++;
	writer->err = *err;
	strncat(order, &writer->order, 1);
}

static struct writer
writer_of(const void *data, size_t len, char name)
{
	return (struct writer){
		.write = { .data = data, .len = len, .done = done },
		.order = name,
	};
}

static void
begin(void)
{
	struct error err = ERROR_INIT;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	loop = loop_new(&err);
	REQUIRE(loop);
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	REQUIRE_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	input_init(&in, loop, fds[1], false);
	far = fds[0];
	order[0] = '\0';
}

static void
finish(void)
{
	input_release(&in);
	close_fd(&far);
	loop_free(loop);
}

TestSuite(input, .init = begin, .fini = finish);

static void
turn(void)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

/* Reads the far end until its end or until no more data arrives, and runs the loop in between. */
static size_t
drain(uint8_t *out, size_t size)
{
	size_t n = 0;
	int idle = 0;

	REQUIRE_EQ(fcntl(far, F_SETFL, O_NONBLOCK), 0);
	while (idle < 3) {
		ssize_t got = read(far, out + n, size - n);

		if (got == 0)
			break;
		if (got > 0) {
			n += (size_t)got;
			idle = 0;
		} else {
			REQUIRE_EQ(errno, EAGAIN);
			idle++;
		}
		turn();
	}
	return n;
}

Test(input, small_writes_are_taken_at_once)
{
	struct writer w = writer_of("abc", 3, 'a');
	struct error err = ERROR_INIT;
	uint8_t got[8];

	REQUIRE_EQ(input_write(&in, &w.write, &err), STDIO_DONE);
	REQUIRE_EQ(drain(got, sizeof(got)), 3);
	REQUIRE(memcmp(got, "abc", 3) == 0);
	REQUIRE_EQ(w.done, 0);
}

Test(input, long_input_arrives_in_order)
{
	const size_t size = 1 << 20;
	uint8_t *data = malloc(2 * size), *got = malloc(2 * size + 1);
	struct writer a, b, late;
	struct error err = ERROR_INIT;

	REQUIRE(data && got);
	for (size_t i = 0; i < 2 * size; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	a = writer_of(data, size, 'a');
	b = writer_of(data + size, size, 'b');
	late = writer_of("x", 1, 'c');
	REQUIRE_EQ(input_write(&in, &a.write, &err), STDIO_WAITS);
	REQUIRE_EQ(input_write(&in, &b.write, &err), STDIO_WAITS);
	input_close(&in);
	input_close(&in);
	REQUIRE_EQ(input_write(&in, &late.write, &err), STDIO_FAILED);
	REQUIRE_HAS(err.msg, "Cannot get writer");
	REQUIRE_EQ(drain(got, 2 * size + 1), 2 * size);
	REQUIRE(memcmp(data, got, 2 * size) == 0);
	REQUIRE_STR(order, "ab");
	REQUIRE_EQ(a.err.code + b.err.code, 0);
	REQUIRE_EQ(in.fd, -1);
	free(data);
	free(got);
}

Test(input, no_reader_is_an_error)
{
	struct writer w = writer_of("abc", 3, 'a');
	struct error err = ERROR_INIT;

	close_fd(&far);
	REQUIRE_EQ(input_write(&in, &w.write, &err), STDIO_FAILED);
	REQUIRE_EQ(err.code, ERROR_INTERNAL);
	REQUIRE_EQ(err.errnum, EPIPE);
}

Test(input, end_of_the_reader_fails_waiting_writes)
{
	static uint8_t big[1 << 20];
	struct writer a = writer_of(big, sizeof(big), 'a'), b = writer_of(big, 1, 'b');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(input_write(&in, &a.write, &err), STDIO_WAITS);
	REQUIRE_EQ(input_write(&in, &b.write, &err), STDIO_WAITS);
	close_fd(&far);
	for (int i = 0; i < 4; i++)
		turn();
	REQUIRE_STR(order, "ab");
	REQUIRE_EQ(a.err.errnum, EPIPE);
	REQUIRE_EQ(b.err.errnum, EPIPE);
}

Test(input, a_cancelled_write_leaves_the_others)
{
	static uint8_t big[1 << 20];
	struct writer a = writer_of(big, sizeof(big), 'a'), b = writer_of("tail", 4, 'b');
	struct error err = ERROR_INIT;
	uint8_t *got = malloc(1 << 20);
	size_t n;

	REQUIRE(got);
	REQUIRE_EQ(input_write(&in, &a.write, &err), STDIO_WAITS);
	REQUIRE_EQ(input_write(&in, &b.write, &err), STDIO_WAITS);
	pending_cancel(&(struct pending *){ &a.write.pending });
	n = drain(got, 1 << 20);
	REQUIRE_STR(order, "b");
	REQUIRE_EQ(n, a.write.written + 4);
	REQUIRE(memcmp(got + n - 4, "tail", 4) == 0);
	free(got);
}

/* epoll refuses a descriptor that is watched already. */
Test(input, a_write_that_cannot_wait_reports_its_part)
{
	static const uint8_t data[1 << 20];
	struct writer first = writer_of(data, sizeof(data), 'a');
	struct writer second = writer_of(data, sizeof(data), 'b');
	struct error err = ERROR_INIT;
	struct watch *taken = loop_watch(loop, in.fd, 0, NULL, NULL, &err);
	int room = fcntl(in.fd, F_GETPIPE_SZ);

	REQUIRE(taken);
	REQUIRE_EQ(input_write(&in, &first.write, &err), STDIO_DONE);
	CHECK_EQ(first.write.written, room);
	REQUIRE_EQ(input_write(&in, &second.write, &err), STDIO_FAILED);
	CHECK_EQ(second.write.written, 0);
	CHECK_EQ(first.done + second.done, 0);
	loop_unwatch(taken);
}

/* The rest is copied, because the memory of the request ends. */
Test(input, moved_rest_follows_the_first_part)
{
	const size_t size = 1 << 20;
	uint8_t *data = malloc(size), *rest, *got = malloc(size + 1);
	struct writer w;
	struct error err = ERROR_INIT;
	size_t left;

	REQUIRE(data && got);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	w = writer_of(data, size, 'a');
	REQUIRE_EQ(input_write(&in, &w.write, &err), STDIO_WAITS);
	left = size - w.write.written;
	REQUIRE_LT(left, size);
	rest = malloc(left);
	REQUIRE(rest);
	memcpy(rest, data + w.write.written, left);
	input_move_rest(&w.write, rest);
	REQUIRE_EQ(drain(got, size + 1), size);
	CHECK(memcmp(got, data, size) == 0);
	CHECK_EQ(w.done, 1);
	CHECK_EQ(w.write.before + w.write.written, size);
	free(data);
	free(rest);
	free(got);
}

Test(input, release_fails_waiting_writes)
{
	static uint8_t big[1 << 20];
	struct writer a = writer_of(big, sizeof(big), 'a');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(input_write(&in, &a.write, &err), STDIO_WAITS);
	input_release(&in);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_ABORTED);
}

Test(input, closing_a_terminal_writes_its_eof)
{
	struct stdio s;
	struct error err = ERROR_INIT;
	struct writer w = writer_of("line\n", 5, 'a');
	struct termios attr;
	int master, slave;
	char text[16];

	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);
	REQUIRE_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
	REQUIRE_EQ(tcgetattr(slave, &attr), 0);
	attr.c_cc[VEOF] = 'Q';
	REQUIRE_EQ(tcsetattr(slave, TCSANOW, &attr), 0);
	stdio_init(&s, loop, NULL, NULL);
	REQUIRE_OK(stdio_open_tty(&s, master, &err), &err);
	REQUIRE_EQ(input_write(&s.in, &w.write, &err), STDIO_DONE);
	input_close(&s.in);
	input_close(&s.in);
	REQUIRE_EQ(read(slave, text, sizeof(text)), 5);
	REQUIRE_EQ(read(slave, text, sizeof(text)), 0);
	/* The terminal is still there. */
	REQUIRE_EQ(write(slave, "out", 3), 3);
	REQUIRE_EQ(input_write(&s.in, &w.write, &err), STDIO_FAILED);
	REQUIRE_EQ(fcntl(slave, F_SETFL, O_NONBLOCK), 0);
	REQUIRE_EQ(read(slave, text, sizeof(text)), -1);
	close(slave);
	stdio_release(&s);
}

static int
turns_for(int ms)
{
	uint64_t end = deadline_in((uint64_t)ms);
	struct error err = ERROR_INIT;
	int n = 0;

	for (; !deadline_is_over(end); n++)
		REQUIRE_OK(loop_run_once(loop, ms < 10 ? ms : 10, &err), &err);
	return n;
}

/* The kernel keeps some of it for the next process that opens the terminal. */
Test(input, reopened_terminal_receives_the_rest)
{
	static char much[256 << 10], got[sizeof(much)];
	struct stdio s;
	struct error err = ERROR_INIT;
	struct writer a = writer_of(much, sizeof(much), 'a'), b = writer_of("more", 4, 'b');
	struct termios raw;
	int master, slave;
	size_t n = 0;
	char name[64];

	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);
	REQUIRE_EQ(openpty(&master, &slave, name, NULL, NULL), 0);
	REQUIRE_EQ(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	REQUIRE_EQ(tcsetattr(slave, TCSANOW, &raw), 0);
	stdio_init(&s, loop, NULL, NULL);
	REQUIRE_OK(stdio_open_tty(&s, master, &err), &err);
	close(slave);
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)('a' + i % 23);
	REQUIRE_EQ(input_write(&s.in, &a.write, &err), STDIO_WAITS);
	REQUIRE_EQ(input_write(&s.in, &b.write, &err), STDIO_WAITS);
	REQUIRE_LT(turns_for(3 * STDIO_RETRY_MS), 100, "the loop runs all the time");
	REQUIRE_EQ(a.done, 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	REQUIRE_GE(slave, 0);
	for (int i = 0; i < 2000 && n < sizeof(much); i++) {
		ssize_t some = read(slave, got + n, sizeof(got) - n);

		n += some > 0 ? (size_t)some : 0;
		(void)turns_for(1);
	}
	for (int i = 0; i < 2000 && !b.done; i++)
		(void)turns_for(1);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(b.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_OK, "%s", a.err.msg);
	REQUIRE_EQ(n, sizeof(much), "%zu bytes", n);
	REQUIRE(memcmp(got, much, n) == 0);
	/* After the exit, writes no longer wait for a reader. */
	close(slave);
	a.done = b.done = 0;
	REQUIRE_EQ(input_write(&s.in, &a.write, &err), STDIO_WAITS);
	REQUIRE_EQ(input_write(&s.in, &b.write, &err), STDIO_WAITS);
	stdio_exited(&s);
	for (int i = 0; i < 2000 && !b.done; i++)
		(void)turns_for(1);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_INTERNAL);
	/* the kernel may have found room for so little */
	REQUIRE_EQ(b.done, 1);
	stdio_release(&s);
}

Test(input, sizes_of_a_terminal)
{
	static const struct {
		const char *name;
		uint32_t rows, columns;
		enum error_code code;
	} rows[] = {
		{ "usual", 24, 80, ERROR_OK },
		{ "nothing", 0, 0, ERROR_OK },
		{ "largest", 65535, 65535, ERROR_OK },
		{ "rows over", 65536, 80, ERROR_INVALID_ARGUMENT },
		{ "columns over", 24, UINT32_MAX, ERROR_INVALID_ARGUMENT },
	};
	struct stdio s;
	struct error err = ERROR_INIT;
	struct winsize size;
	int master, slave;

	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);
	stdio_init(&s, loop, NULL, NULL);
	REQUIRE_EQ(stdio_resize(&s, 24, 80, &err), -1);
	REQUIRE_EQ(err.code, ERROR_UNAVAILABLE);
	REQUIRE_STR(err.msg, TEXT_NO_TTY);
	REQUIRE_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
	REQUIRE_OK(stdio_open_tty(&s, master, &err), &err);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error e = ERROR_INIT;

		stdio_resize(&s, rows[i].rows, rows[i].columns, &e);
		REQUIRE_EQ(e.code, rows[i].code, "%s", rows[i].name);
		if (e.code != ERROR_OK)
			continue;
		REQUIRE_EQ(ioctl(slave, TIOCGWINSZ, &size), 0);
		REQUIRE_EQ(size.ws_row, rows[i].rows, "%s", rows[i].name);
		REQUIRE_EQ(size.ws_col, rows[i].columns, "%s", rows[i].name);
	}
	close(slave);
	stdio_release(&s);
}

Test(input, pipes_of_a_process)
{
	struct stdio s;
	struct stdio_ends ends;
	struct error err = ERROR_INIT;

	stdio_init(&s, loop, NULL, NULL);
	REQUIRE(stdio_is_ended(&s));
	REQUIRE_OK(stdio_open_pipes(&s, 131072, &ends, &err), &err);
	REQUIRE(!stdio_is_ended(&s));
	REQUIRE_EQ(fcntl(s.out.fd, F_GETPIPE_SZ), 131072);
	REQUIRE_EQ(fcntl(s.err.fd, F_GETPIPE_SZ), 131072);
	for (int i = 0; i < 3; i++) {
		REQUIRE(fcntl(ends.fd[i], F_GETFD) & FD_CLOEXEC);
		REQUIRE(!(fcntl(ends.fd[i], F_GETFL) & O_NONBLOCK));
	}
	REQUIRE(fcntl(s.in.fd, F_GETFL) & O_NONBLOCK);
	REQUIRE(fcntl(s.out.fd, F_GETFL) & O_NONBLOCK);
	stdio_ends_close(&ends);
	stdio_release(&s);
}
