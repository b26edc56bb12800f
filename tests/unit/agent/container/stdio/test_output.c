/* SPDX-License-Identifier: Apache-2.0 */
/* stdout and stderr: available data, waiting, the end, and silence after the exit. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/stdio/stdio.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/elapsed.h"
#include "tests/support/terminal.h"

struct reader {
	/* first */
	struct stdio_read read;
	uint8_t *memory;
	bool refuses;
	int done;
	struct error err;
	char order;
};

static struct loop *loop;
static struct output out;
/* the process's end */
static int far = -1;
/* calls of on_end */
static int ends;
static char order[16];

static uint8_t *
buffer(struct stdio_read *r, size_t n)
{
	struct reader *reader = (struct reader *)r;

	if (reader->refuses)
		return NULL;
	free(reader->memory);
	reader->memory = malloc(n);
	return reader->memory;
}

static void
done(struct stdio_read *r, const struct error *err)
{
	struct reader *reader = (struct reader *)r;

	reader->done++;
	reader->err = *err;
	strncat(order, &reader->order, 1);
}

static struct reader
reader_of(size_t max, char name)
{
	return (struct reader){
		.read = { .max = max, .buffer = buffer, .done = done },
		.order = name,
	};
}

static void
on_end(void *data)
{
	(void)data;
	ends++;
}

static void
begin(void)
{
	struct error err = ERROR_INIT;
	int fds[2];

	loop = loop_new(&err);
	REQUIRE(loop);
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	REQUIRE_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	output_init(&out, loop, fds[0], on_end, NULL);
	far = fds[1];
	ends = 0;
	order[0] = '\0';
}

static void
finish(void)
{
	output_release(&out);
	close_fd(&far);
	loop_free(loop);
}

/* Until the reader is done, for two seconds. */
static void
run_until_done(const struct reader *r)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(2000);

	while (!r->done && !deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
}

TestSuite(output, .init = begin, .fini = finish);

static void
say(const char *text)
{
	REQUIRE_EQ(write(far, text, strlen(text)), (ssize_t)strlen(text));
}

static void
has(struct reader *r, const char *text)
{
	REQUIRE_EQ(r->read.len, strlen(text), "%zu bytes", r->read.len);
	REQUIRE(memcmp(r->read.data, text, r->read.len) == 0);
	free(r->memory);
	r->memory = NULL;
}

/* Written by the process, which closes its end then, in the middle of the next poll(2). */
static const char *last_words;

/* In place of the C library's. The kernel looks whether there are bytes before it looks whether
 * there are writers. */
int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	const struct timespec time = { .tv_sec = timeout / 1000,
				       .tv_nsec = timeout % 1000 * 1000000l };

	if (last_words && n == 1) {
		say(last_words);
		last_words = NULL;
		close_fd(&far);
		fds->revents = POLLHUP;
		return 1;
	}
	return (int)syscall(SYS_ppoll, fds, n, timeout < 0 ? NULL : &time, NULL, 0);
}

/* The read is large enough to ask first how much there is. */
Test(output, data_written_during_the_end_check)
{
	struct reader a = reader_of(1 << 20, 'a');
	struct error err = ERROR_INIT;

	last_words = "last";
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	has(&a, "last");
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	REQUIRE_EQ(a.read.len, 0);
	REQUIRE_EQ(ends, 1);
	free(a.memory);
}

Test(output, available_data_is_returned_at_once)
{
	struct reader r = reader_of(3, 'a');
	struct error err = ERROR_INIT;

	say("hello");
	REQUIRE_EQ(output_read(&out, &r.read, &err), STDIO_DONE);
	has(&r, "hel");
	REQUIRE_EQ(output_read(&out, &r.read, &err), STDIO_DONE);
	has(&r, "lo");
	REQUIRE_EQ(r.done, 0);
}

Test(output, lengths)
{
	static const struct {
		const char *name;
		size_t asked, most;
	} rows[] = {
		{ "none", 0, 0 },
		{ "one", 1, 1 },
		{ "4 MiB", 4u << 20, STDIO_READ_MAX },
		{ "all", UINT32_MAX, STDIO_READ_MAX },
	};
	static char block[4096];
	struct error err = ERROR_INIT;
	int there;

	/* Over the clamp where we may have such a pipe. */
	(void)fcntl(far, F_SETPIPE_SZ, 2 << 20);
	REQUIRE_EQ(fcntl(far, F_SETFL, O_NONBLOCK), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reader r = reader_of(rows[i].asked, 'a');
		size_t want = rows[i].most;

		while (write(far, block, sizeof(block)) > 0)
			;
		REQUIRE_EQ(ioctl(far, FIONREAD, &there), 0);
		if (want > (size_t)there)
			want = (size_t)there;
		REQUIRE_EQ(output_read(&out, &r.read, &err), STDIO_DONE, "%s", rows[i].name);
		REQUIRE_EQ(r.read.len, want, "%s: %zu", rows[i].name, r.read.len);
		free(r.memory);
	}
	REQUIRE_EQ(ends, 0);
}

Test(output, waiting_readers_are_served_in_order)
{
	struct reader a = reader_of(2, 'a'), b = reader_of(10, 'b');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	REQUIRE_EQ(output_read(&out, &b.read, &err), STDIO_WAITS);
	say("xyz");
	run_until_done(&b);
	has(&a, "xy");
	has(&b, "z");
	REQUIRE_STR(order, "ab");
}

Test(output, a_cancelled_reader_takes_nothing)
{
	struct reader a = reader_of(2, 'a'), b = reader_of(10, 'b');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	REQUIRE_EQ(output_read(&out, &b.read, &err), STDIO_WAITS);
	pending_cancel(&(struct pending *){ &a.read.pending });
	say("xyz");
	run_until_done(&b);
	has(&b, "xyz");
	REQUIRE_EQ(a.done, 0);
}

Test(output, end_is_an_empty_reply_to_all_reads)
{
	struct reader a = reader_of(2, 'a'), b = reader_of(10, 'b');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	REQUIRE_EQ(output_read(&out, &b.read, &err), STDIO_WAITS);
	close_fd(&far);
	run_until_done(&b);
	REQUIRE_EQ(a.done + b.done, 2);
	REQUIRE_EQ(a.read.len + b.read.len, 0);
	REQUIRE_EQ(ends, 1);
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	REQUIRE_EQ(a.read.len, 0);
}

Test(output, data_precedes_the_end)
{
	struct reader a = reader_of(10, 'a');
	struct error err = ERROR_INIT;

	say("last");
	close_fd(&far);
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	has(&a, "last");
	REQUIRE_EQ(ends, 0);
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	REQUIRE_EQ(a.read.len, 0);
	REQUIRE_EQ(ends, 1);
}

Test(output, silence_after_the_exit_ends_a_pipe_that_is_held_open)
{
	struct reader a = reader_of(10, 'a'), b = reader_of(10, 'b');
	struct error err = ERROR_INIT;
	uint64_t before;

	/* One that waits already, ... */
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	before = monotonic_ns();
	output_exited(&out);
	say("more");
	run_until_done(&a);
	has(&a, "more");
	/* ... and one that comes after the exit. */
	REQUIRE_EQ(output_read(&out, &b.read, &err), STDIO_WAITS);
	run_until_done(&b);
	REQUIRE_EQ(b.done, 1);
	REQUIRE_EQ(b.read.len, 0);
	REQUIRE_GE(elapsed_ms(before), STDIO_QUIET_MS);
	REQUIRE_EQ(ends, 1);
}

Test(output, silence_before_the_exit_is_not_the_end)
{
	struct reader a = reader_of(10, 'a');
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(STDIO_QUIET_MS + 200);

	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	while (!deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	REQUIRE_EQ(a.done, 0);
	pending_cancel(&(struct pending *){ &a.read.pending });
}

Test(output, unread_stream_of_a_reported_process_ends)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(2000);

	output_exited(&out);
	output_drain(&out);
	REQUIRE_EQ(ends, 0);
	while (!ends && !deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
	REQUIRE_EQ(ends, 1);
}

Test(output, unread_data_of_a_reported_process_is_kept)
{
	struct reader a = reader_of(10, 'a');
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(STDIO_QUIET_MS + 200);

	say("kept");
	close_fd(&far);
	output_exited(&out);
	output_drain(&out);
	while (!deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	REQUIRE_EQ(ends, 0);
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	has(&a, "kept");
}

Test(output, unread_data_of_a_reported_process_expires)
{
	struct reader a = reader_of(2, 'a');
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(5000), before;

	/* far stays open: a grandchild may hold the pipe */
	say("kept");
	out.unread_ms = 600;
	output_exited(&out);
	output_drain(&out);
	while (!deadline_is_over(limit - 4700000000ull))
		REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	/* a read begins it anew */
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	has(&a, "ke");
	before = monotonic_ns();
	while (!ends && !deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	REQUIRE_EQ(ends, 1);
	REQUIRE_GE(monotonic_ns() - before, 600000000ull);
	REQUIRE_EQ(out.fd, -1);
	free(a.memory);
}

Test(output, no_memory_for_the_reply_loses_nothing)
{
	struct reader a = reader_of(10, 'a');
	struct error err = ERROR_INIT;

	say("safe");
	a.refuses = true;
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_FAILED);
	REQUIRE_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	a.refuses = false;
	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_DONE);
	has(&a, "safe");
}

Test(output, release_ends_waiting_reads)
{
	struct reader a = reader_of(10, 'a');
	struct error err = ERROR_INIT;

	REQUIRE_EQ(output_read(&out, &a.read, &err), STDIO_WAITS);
	output_release(&out);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_OK);
	REQUIRE_EQ(a.read.len, 0);
	REQUIRE_EQ(ends, 0);
}

static int
open_raw_terminal(struct stdio *s, char *name)
{
	struct error err = ERROR_INIT;
	struct termios raw;
	int master, slave;

	REQUIRE_EQ(openpty(&master, &slave, name, NULL, NULL), 0);
	REQUIRE_EQ(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	REQUIRE_EQ(tcsetattr(slave, TCSANOW, &raw), 0);
	stdio_init(s, loop, on_end, NULL);
	REQUIRE_OK(stdio_open_tty(s, master, &err), &err);
	return slave;
}

/* Waits without events. */
static void
stays_quiet(int ms)
{
	uint64_t end = deadline_in((uint64_t)ms);
	struct error err = ERROR_INIT;
	int turns = 0;

	for (; !deadline_is_over(end); turns++)
		REQUIRE_OK(loop_run_once(loop, ms, &err), &err);
	REQUIRE_LT(turns, 10, "the loop runs all the time");
}

Test(output, terminal_ends_with_process_and_last_user)
{
	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);

	struct stdio s;
	struct reader a = reader_of(100, 'a'), b = reader_of(100, 'b');
	struct error err = ERROR_INIT;
	int slave = open_raw_terminal(&s, NULL);

	REQUIRE_EQ(stdio_output(&s, STDOUT_FILENO), stdio_output(&s, STDERR_FILENO));
	REQUIRE_EQ(output_read(&s.out, &a.read, &err), STDIO_WAITS);
	REQUIRE_EQ(write(slave, "prompt", 6), 6);
	run_until_done(&a);
	has(&a, "prompt");
	REQUIRE_EQ(output_read(&s.out, &b.read, &err), STDIO_WAITS);
	close(slave);
	stdio_exited(&s);
	run_until_done(&b);
	REQUIRE_EQ(b.err.code, ERROR_OK);
	REQUIRE_EQ(b.read.len, 0);
	REQUIRE(stdio_is_ended(&s));
	free(b.memory);
	stdio_release(&s);
}

Test(output, reopened_terminal_continues)
{
	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);

	struct stdio s;
	struct reader a = reader_of(100, 'a'), b = reader_of(100, 'b');
	struct error err = ERROR_INIT;
	char name[64];
	int slave = open_raw_terminal(&s, name);

	/* with a reader that waits */
	REQUIRE_EQ(output_read(&s.out, &a.read, &err), STDIO_WAITS);
	close(slave);
	stays_quiet(100);
	REQUIRE_EQ(a.done, 0);
	slave = open(name, O_RDWR | O_NOCTTY);
	REQUIRE_EQ(write(slave, "again", 5), 5);
	run_until_done(&a);
	has(&a, "again");
	/* and with one that comes while it is closed, after what was written before */
	REQUIRE_EQ(write(slave, "last", 4), 4);
	close(slave);
	REQUIRE_EQ(output_read(&s.out, &b.read, &err), STDIO_DONE);
	has(&b, "last");
	REQUIRE_EQ(output_read(&s.out, &b.read, &err), STDIO_WAITS);
	stays_quiet(100);
	slave = open(name, O_RDWR | O_NOCTTY);
	REQUIRE_EQ(write(slave, "more", 4), 4);
	run_until_done(&b);
	has(&b, "more");
	REQUIRE_EQ(ends, 0);
	/* the exit finds it closed, and a reader */
	b.done = 0;
	REQUIRE_EQ(output_read(&s.out, &b.read, &err), STDIO_WAITS);
	close(slave);
	stays_quiet(50);
	REQUIRE_EQ(b.done, 0);
	stdio_exited(&s);
	REQUIRE_EQ(b.done, 1);
	REQUIRE_EQ(b.read.len, 0);
	free(a.memory);
	free(b.memory);
	stdio_release(&s);
}
