/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with fds. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"

Test(io, fds_arrive_with_their_message_and_close_on_exec)
{
	int s[2], fds[IO_FDS_MAX], sent[2];
	size_t n_fds = 9;
	char msg[16];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	REQUIRE_EQ(pipe(sent), 0);
	REQUIRE_EQ(send_msg(s[0], "hello", 5, sent, 2, 0), 0);
	REQUIRE_EQ(recv_msg(s[1], msg, sizeof(msg), fds, &n_fds, 0), 5);
	REQUIRE_EQ(n_fds, 2);
	REQUIRE(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	REQUIRE_EQ(write(fds[1], "x", 1), 1);
	REQUIRE_EQ(read(sent[0], msg, 1), 1);
	for (int i = 0; i < 2; i++) {
		close(s[i]);
		close(fds[i]);
		close(sent[i]);
	}
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

Test(io, all_fds_but_those_named_are_closed)
{
	static const int lists[][5] = {
		{ -1, -1, -1, -1, -1 }, { 3, 3, -1, 0, 2 },       { 40, 5, 41, 3, 12 },
		{ 60, 61, 62, 63, 60 }, { INT_MAX, 30, 9, 9, 4 }, { 5, 4, 3, 1000, -1 },
	};
	int status;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		pid_t pid = fork();

		REQUIRE_GE(pid, 0);
		if (pid == 0) {
			for (int fd = 3; fd < 64; fd++)
				if (dup2(STDERR_FILENO, fd) != fd)
					_exit(1);
			if (close_all_but(lists[i], ARRAY_LEN(lists[i])) < 0)
				_exit(2);
			for (int fd = 0; fd < 64; fd++) {
				bool is_kept = fd < 3;

				for (size_t k = 0; k < ARRAY_LEN(lists[i]); k++)
					is_kept |= lists[i][k] == fd;
				if (is_open(fd) != is_kept)
					_exit(100 + fd);
			}
			_exit(0);
		}
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0, "list %zu: status %x", i, (unsigned int)status);
	}
}

Test(io, a_message_that_does_not_fit_is_refused_and_its_fds_closed)
{
	int s[2], fds[IO_FDS_MAX], p[2];
	size_t n_fds;
	char msg[4], c;

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	REQUIRE_EQ(pipe(p), 0);
	REQUIRE_EQ(send_msg(s[0], "too long", 8, &p[1], 1, 0), 0);
	close(p[1]);
	REQUIRE_EQ(recv_msg(s[1], msg, sizeof(msg), fds, &n_fds, 0), -1);
	REQUIRE_EQ(errno, EMSGSIZE);
	REQUIRE_EQ(n_fds, 0);
	REQUIRE_EQ(read(p[0], &c, 1), 0, "the write end is closed");
	close(p[0]);
	close(s[0]);
	close(s[1]);
}

/* The peer sends and closes during each check. Done in rounds because of the limit of fds. */
enum { RACE_ROUNDS = 100, RACE_SOCKETS = 200 };

static void
send_when_asked(int (*s)[2], _Atomic int *asked)
{
	for (int i = 0; i < RACE_SOCKETS; i++)
		(void)close(s[i][1]);
	for (int i = 0; i < RACE_SOCKETS; i++) {
		while (*asked < i)
			continue;
		(void)send_msg(s[i][0], "last", 4, NULL, 0, 0);
		(void)close(s[i][0]);
	}
	_exit(0);
}

static unsigned int
lost_in_a_round(_Atomic int *asked, int flags)
{
	int s[RACE_SOCKETS][2], fds[IO_FDS_MAX], status;
	unsigned int lost = 0;
	pid_t test = getpid(), pid;
	size_t n_fds;
	char msg[8];

	*asked = -1;
	for (int i = 0; i < RACE_SOCKETS; i++)
		REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s[i]), 0);
	pid = fork();
	if (pid == 0) {
		die_with_parent(test);
		send_when_asked(s, asked);
	}
	for (int i = 0; i < RACE_SOCKETS; i++)
		(void)close(s[i][0]);
	for (int i = 0; i < RACE_SOCKETS; i++) {
		ssize_t n;

		*asked = i;
		do
			n = recv_msg(s[i][1], msg, sizeof(msg), fds, &n_fds, flags);
		while (n < 0 && errno == EAGAIN);
		lost += n != 4;
		(void)close(s[i][1]);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return lost;
}

Test(io, the_last_message_is_not_taken_for_the_end)
{
	_Atomic int *asked = mmap(NULL, sizeof(*asked), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int lost = 0;

	REQUIRE(asked != MAP_FAILED);
	for (int i = 0; i < RACE_ROUNDS; i++)
		lost += lost_in_a_round(asked, i % 2 ? MSG_DONTWAIT : 0);
	REQUIRE_EQ(lost, 0, "%u lost", lost);
}

/* The peer closes without having read: ECONNRESET is reported before its messages. */
Test(io, the_last_message_of_who_did_not_read)
{
	int s[2], fds[IO_FDS_MAX];
	size_t n_fds;
	char msg[8];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	REQUIRE_EQ(send_msg(s[1], "unread", 6, NULL, 0, 0), 0);
	REQUIRE_EQ(send_msg(s[0], "last", 4, NULL, 0, 0), 0);
	(void)close(s[0]);
	CHECK_EQ(recv_msg(s[1], msg, sizeof(msg), fds, &n_fds, 0), 4);
	CHECK_EQ(recv_msg(s[1], msg, sizeof(msg), fds, &n_fds, 0), 0);
	(void)close(s[1]);
}

Test(io, text_files)
{
	char name[] = "/tmp/test-io-XXXXXX", text[8];
	int fd = mkstemp(name);

	REQUIRE_EQ(write(fd, "abc\n", 4), 4);
	REQUIRE_EQ(read_text_at(AT_FDCWD, name, text, sizeof(text)), 3);
	REQUIRE_STR(text, "abc");
	REQUIRE_EQ(write_text_at(AT_FDCWD, name, "xyz0123456789"), 0);
	REQUIRE_EQ(read_text_at(AT_FDCWD, name, text, sizeof(text)), 7);
	REQUIRE_STR(text, "xyz0123");
	REQUIRE_EQ(write_text_at(AT_FDCWD, "/nonexistent/file", "1"), -1);
	close(fd);
	unlink(name);
}
