/* SPDX-License-Identifier: Apache-2.0 */
/* Splices: all pairs of descriptors of streams, stalled sides, ends, and silence after an exit. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/stdio/splice.h"
#include "agent/container/stdio/stdio.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/terminal.h"

#define MUCH (4u << 20)

struct ended {
	int times, errnum;
};

static struct loop *loop;

static void
on_done(struct splice *r, int errnum, void *data)
{
	struct ended *e = data;

	e->times++;
	e->errnum = errnum;
	splice_free(r);
}

static void
begin(void)
{
	struct error err = ERROR_INIT;

	signal(SIGPIPE, SIG_IGN);
	loop = loop_new(&err);
	REQUIRE(loop);
}

static void
finish(void)
{
	loop_free(loop);
}

TestSuite(splice, .init = begin, .fini = finish);

static void
turn(int ms)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(loop_run_once(loop, ms, &err), &err);
}

static struct splice *
relay(int from, int to, struct ended *e)
{
	struct error err = ERROR_INIT;
	struct splice *r = splice_new(loop, from, to, on_done, e, &err);

	REQUIRE(r, "%s", err.msg);
	return r;
}

static void
pair(int fds[2])
{
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static void
make_pipe(int fds[2])
{
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static uint8_t
byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

/* Feeds MUCH bytes in at one end and takes them out at the other, in pieces that do not match. */
static void
pump_through(int in, int out, struct ended *e)
{
	static uint8_t piece[40000], got[33333];
	size_t sent = 0, received = 0;
	uint64_t limit = deadline_in(60000);

	while (!deadline_is_over(limit)) {
		ssize_t n;

		if (sent < MUCH) {
			size_t len = MUCH - sent < sizeof(piece) ? MUCH - sent : sizeof(piece);

			for (size_t i = 0; i < len; i++)
				piece[i] = byte_at(sent + i);
			n = write(in, piece, len);
			sent += n > 0 ? (size_t)n : 0;
			if (sent == MUCH)
				close(in);
		}
		turn(0);
		n = read(out, got, sizeof(got));
		for (ssize_t i = 0; i < n; i++)
			REQUIRE_EQ(got[i], byte_at(received + (size_t)i), "byte %zu",
				   received + (size_t)i);
		received += n > 0 ? (size_t)n : 0;
		if (n == 0)
			break;
	}
	REQUIRE_EQ(received, MUCH, "%zu bytes", received);
	REQUIRE_EQ(e->times, 1);
	REQUIRE_EQ(e->errnum, 0);
}

Test(splice, a_pipe_to_a_socket)
{
	struct ended e = { 0 };
	int p[2], s[2];

	make_pipe(p);
	pair(s);
	relay(p[0], s[0], &e);
	pump_through(p[1], s[1], &e);
	close(s[1]);
}

Test(splice, a_socket_to_a_pipe)
{
	struct ended e = { 0 };
	int p[2], s[2];

	make_pipe(p);
	pair(s);
	relay(s[0], p[1], &e);
	pump_through(s[1], p[0], &e);
	close(p[0]);
}

Test(splice, a_socket_to_a_socket_through_a_pipe_of_its_own)
{
	struct ended e = { 0 };
	int a[2], b[2];

	pair(a);
	pair(b);
	relay(a[0], b[0], &e);
	pump_through(a[1], b[1], &e);
	close(b[1]);
}

/* A raw terminal; its name has room for 64 bytes. */
static void
make_terminal(int *master, int *slave, char *name)
{
	struct termios raw;

	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);
	REQUIRE_EQ(openpty(master, slave, name, NULL, NULL), 0);
	REQUIRE_EQ(tcgetattr(*slave, &raw), 0);
	cfmakeraw(&raw);
	REQUIRE_EQ(tcsetattr(*slave, TCSANOW, &raw), 0);
}

Test(splice, a_terminal_both_ways)
{
	struct ended in = { 0 }, out = { 0 };
	int master, slave, s[2], t[2];
	struct splice *from_tty;
	char got[64] = "", name[64];
	uint64_t before;
	ssize_t n = -1;

	make_terminal(&master, &slave, name);
	pair(s);
	pair(t);
	relay(s[0], dup(master), &in);
	from_tty = relay(master, t[0], &out);
	REQUIRE_EQ(write(s[1], "typed", 5), 5);
	REQUIRE_EQ(write(slave, "said", 4), 4);
	for (int i = 0; i < 100 && n <= 0; i++) {
		turn(20);
		n = read(t[1], got, sizeof(got));
	}
	REQUIRE_EQ(n, 4);
	REQUIRE(memcmp(got, "said", 4) == 0);
	for (int i = 0; i < 10; i++)
		turn(5);
	REQUIRE_EQ(read(slave, got, sizeof(got)), 5);
	REQUIRE(memcmp(got, "typed", 5) == 0);
	/* no process has it open: another one may have it later */
	close(slave);
	REQUIRE_EQ(write(s[1], "later", 5), 5);
	for (int i = 0; i < 40; i++)
		turn(5);
	REQUIRE_EQ(out.times + in.times, 0);
	before = monotonic_ns();
	turn(STDIO_RETRY_MS / 2);
	turn(STDIO_RETRY_MS / 2);
	turn(STDIO_RETRY_MS / 2);
	REQUIRE_GE(monotonic_ns() - before, STDIO_RETRY_MS / 2 * 1000000ull,
		   "the loop runs all the time");
	slave = open(name, O_RDWR | O_NOCTTY);
	REQUIRE_GE(slave, 0);
	REQUIRE_EQ(write(slave, "back", 4), 4);
	for (int i = 0; i < 40; i++)
		turn(5);
	REQUIRE_EQ(read(t[1], got, sizeof(got)), 4);
	REQUIRE(memcmp(got, "back", 4) == 0);
	REQUIRE_EQ(read(slave, got, sizeof(got)), 5);
	REQUIRE(memcmp(got, "later", 5) == 0);
	/* the last slave goes after the process: the output has ended, which is no failure */
	close(slave);
	splice_exited(from_tty, STDIO_UNREAD_MS);
	for (int i = 0; i < 100 && !out.times; i++)
		turn(20);
	REQUIRE_EQ(out.times, 1);
	REQUIRE_EQ(out.errnum, 0);
	close(s[1]);
	for (int i = 0; i < 100 && !in.times; i++)
		turn(20);
	REQUIRE_EQ(in.times, 1);
	close(t[1]);
}

/* More than the kernel keeps for the next process that opens it. */
Test(splice, a_closed_terminal_takes_the_rest_later)
{
	static char much[256 << 10], got[sizeof(much)];
	struct ended e = { 0 };
	size_t sent = 0, n = 0;
	int master, slave, s[2], turns = 0;
	char name[64];
	uint64_t end;

	make_terminal(&master, &slave, name);
	pair(s);
	relay(s[0], master, &e);
	close(slave);
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)('a' + i % 23);
	for (int i = 0; i < 50; i++) {
		ssize_t some = write(s[1], much + sent, sizeof(much) - sent);

		sent += some > 0 ? (size_t)some : 0;
		turn(0);
	}
	REQUIRE_GT(sent, 64 << 10);
	end = deadline_in(3 * STDIO_RETRY_MS);
	for (; !deadline_is_over(end); turns++)
		turn(10);
	REQUIRE_LT(turns, 100, "the loop runs all the time");
	REQUIRE_EQ(e.times, 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	REQUIRE_GE(slave, 0);
	for (int i = 0; i < 5000 && n < sent; i++) {
		ssize_t some = read(slave, got + n, sizeof(got) - n);

		n += some > 0 ? (size_t)some : 0;
		turn(1);
	}
	REQUIRE_EQ(n, sent, "%zu of %zu bytes", n, sent);
	REQUIRE(memcmp(got, much, n) == 0);
	close(slave);
	close(s[1]);
	for (int i = 0; i < 100 && !e.times; i++)
		turn(20);
	REQUIRE_EQ(e.times, 1);
}

/* So many of the next splices find no memory for a packet. */
static int splices_fail;

/* Written to last_slave, which is closed then, in the middle of the next splice(2). */
static const char *last_words;
static int last_slave = -1;

/* In place of the C library's. A terminal looks whether there are bytes before it looks whether
 * it is open. */
ssize_t
splice(int in, loff_t *in_at, int to, loff_t *to_at, size_t n, unsigned int flags)
{
	if (last_words) {
		REQUIRE_EQ(write(last_slave, last_words, strlen(last_words)),
			   (ssize_t)strlen(last_words));
		last_words = NULL;
		close_fd(&last_slave);
		errno = EIO;
		return -1;
	}
	if (splices_fail > 0) {
		splices_fail--;
		errno = splices_fail % 2 ? ENOMEM : ENOBUFS;
		return -1;
	}
	return syscall(SYS_splice, in, in_at, to, to_at, n, flags);
}

Test(splice, terminal_data_written_during_the_end_check)
{
	struct ended e = { 0 };
	char got[64] = "", name[64];
	int master, s[2];
	struct splice *r;

	make_terminal(&master, &last_slave, name);
	pair(s);
	r = relay(master, s[0], &e);
	last_words = "last";
	splice_exited(r, STDIO_UNREAD_MS);
	for (int i = 0; i < 100 && !e.times; i++)
		turn(20);
	REQUIRE_EQ(e.times, 1);
	REQUIRE_EQ(e.errnum, 0);
	REQUIRE_EQ(read(s[1], got, sizeof(got)), 4);
	REQUIRE(memcmp(got, "last", 4) == 0);
	close(s[1]);
}

Test(splice, stalled_reader_causes_no_wakeups)
{
	static char block[65536];
	struct ended e = { 0 };
	int p[2], s[2];
	uint64_t before;
	struct splice *r;

	make_pipe(p);
	pair(s);
	r = relay(p[0], s[0], &e);
	for (int i = 0; i < 400; i++) {
		(void)!write(p[1], block, sizeof(block));
		turn(0);
	}
	REQUIRE_LT(write(p[1], block, sizeof(block)), 0, "the writer is not held back");
	/* The loop sleeps until the other side reads. */
	before = monotonic_ns();
	turn(100);
	REQUIRE_GE(monotonic_ns() - before, 90000000ull);
	/* not even after the exit, however long */
	splice_exited(r, STDIO_UNREAD_MS);
	before = monotonic_ns();
	turn(STDIO_QUIET_MS + 100);
	REQUIRE_GE(monotonic_ns() - before, (STDIO_QUIET_MS + 90) * 1000000ull);
	REQUIRE_EQ(e.times, 0);
	close(s[1]);
	turn(100);
	REQUIRE_EQ(e.times, 1);
	REQUIRE(e.errnum == EPIPE || e.errnum == ECONNRESET, "%s", strerror(e.errnum));
	close(p[1]);
}

Test(splice, unread_rest_expires)
{
	static char block[65536], got[65536];
	struct ended e = { 0 };
	int p[2], s[2];
	struct splice *r;
	uint64_t left;

	make_pipe(p);
	pair(s);
	r = relay(p[0], s[0], &e);
	for (int i = 0; i < 400; i++) {
		(void)!write(p[1], block, sizeof(block));
		turn(0);
	}
	splice_exited(r, 2000);
	/* Progress begins it anew: four intervals, together longer than the limit. */
	for (int i = 0; i < 4; i++) {
		left = deadline_in(600);
		while (read(s[1], got, sizeof(got)) > 0)
			continue;
		while (!deadline_is_over(left)) {
			turn(10);
			(void)!write(p[1], block, sizeof(block));
		}
	}
	REQUIRE_EQ(e.times, 0);
	while (!e.times && !deadline_is_over(left + 60000000000ull))
		turn(100);
	REQUIRE_EQ(e.times, 1);
	REQUIRE_EQ(e.errnum, ETIMEDOUT);
	close(p[1]);
	close(s[1]);
}

Test(splice, silence_after_the_exit_ends_the_stream)
{
	struct ended e = { 0 };
	int p[2], s[2];
	uint64_t before = monotonic_ns();
	char got[16];
	struct splice *r;

	/* p[1] stays open: a grandchild */
	make_pipe(p);
	pair(s);
	r = relay(p[0], s[0], &e);
	REQUIRE_EQ(write(p[1], "last", 4), 4);
	splice_exited(r, STDIO_UNREAD_MS);
	splice_exited(r, STDIO_UNREAD_MS);
	while (!e.times && monotonic_ns() - before < 60000000000ull)
		turn(100);
	REQUIRE_EQ(e.times, 1);
	REQUIRE_EQ(e.errnum, 0);
	REQUIRE_GE(monotonic_ns() - before, STDIO_QUIET_MS * 1000000ull);
	REQUIRE_EQ(read(s[1], got, sizeof(got)), 4);
	REQUIRE_EQ(read(s[1], got, sizeof(got)), 0);
	REQUIRE_LT(write(p[1], "x", 1), 0, "the pipe has no reader");
	close(p[1]);
	close(s[1]);
}

Test(splice, freeing_closes_without_a_callback)
{
	struct ended e = { 0 };
	int a[2], b[2];
	char c;

	pair(a);
	pair(b);
	splice_free(relay(a[0], b[0], &e));
	turn(0);
	REQUIRE_EQ(e.times, 0);
	REQUIRE_EQ(read(a[1], &c, 1), 0);
	REQUIRE_EQ(read(b[1], &c, 1), 0);
	close(a[1]);
	close(b[1]);
}

Test(splice, packet_without_memory_is_retried)
{
	struct ended e = { 0 }, through = { 0 };
	int p[2], s[2], a[2], b[2];

	make_pipe(p);
	pair(s);
	splices_fail = 10;
	relay(p[0], s[0], &e);
	pump_through(p[1], s[1], &e);
	close(s[1]);
	REQUIRE_EQ(splices_fail, 0);
	pair(a);
	pair(b);
	splices_fail = 10;
	relay(a[0], b[0], &through);
	pump_through(a[1], b[1], &through);
	close(b[1]);
	REQUIRE_EQ(splices_fail, 0);
}
