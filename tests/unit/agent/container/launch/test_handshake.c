/* SPDX-License-Identifier: Apache-2.0 */
/* The report of the last process, while another process holds the same end of the socket. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/handshake.h"
#include "lib/sys.h"
#include "tests/support/check.h"

struct fixture {
	/* the two ends */
	int worker, other;
	pid_t sender;
	int sender_pidfd;
};

/* Starts the process whose report is awaited. It reports itself, or ends without a word. */
static void
set_up(struct fixture *f, bool reports)
{
	int pair[2];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	REQUIRE_EQ(handshake_name_senders(pair[0]), 0);
	*f = (struct fixture){ .worker = pair[0], .other = pair[1] };
	f->sender = fork();
	REQUIRE_GE(f->sender, 0);
	if (f->sender == 0) {
		pid_t pid = getpid();
		int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

		_exit(reports &&
		      handshake_send(pair[1], HANDSHAKE_PROCESS, &pid, sizeof(pid), pidfd) < 0);
	}
	f->sender_pidfd = (int)syscall(SYS_pidfd_open, f->sender, 0);
	REQUIRE_GE(f->sender_pidfd, 0);
}

static void
tear_down(struct fixture *f)
{
	REQUIRE_EQ(waitpid(f->sender, NULL, 0), f->sender);
	close(f->sender_pidfd);
	close(f->worker);
	close(f->other);
}

/* The process that the sender made last holds the socket until it runs: its end is not the
 * sender's. */
Test(handshake, sender_that_ends_without_a_report, .timeout = 10)
{
	struct error err = ERROR_INIT;
	struct fixture f;
	pid_t pid = 0;
	int pidfd = -1;

	set_up(&f, false);
	REQUIRE_EQ(handshake_recv_process(f.worker, f.sender, f.sender_pidfd, &pid, &pidfd, &err),
		   -1);
	CHECK_STR(err.msg, "the process ended during its set-up");
	CHECK_EQ(pidfd, -1);
	tear_down(&f);
}

Test(handshake, report_of_a_sender_that_has_ended, .timeout = 10)
{
	struct error err = ERROR_INIT;
	siginfo_t info;
	struct fixture f;
	pid_t pid = 0;
	int pidfd = -1;

	set_up(&f, true);
	REQUIRE_EQ(waitid(P_PID, (id_t)f.sender, &info, WEXITED | WNOWAIT), 0);
	REQUIRE_OK(handshake_recv_process(f.worker, f.sender, f.sender_pidfd, &pid, &pidfd, &err),
		   &err);
	CHECK_EQ(pid, f.sender);
	CHECK_GE(pidfd, 0);
	close(pidfd);
	tear_down(&f);
}

Test(handshake, report_of_another_process, .timeout = 10)
{
	struct error err = ERROR_INIT;
	struct fixture f;
	pid_t pid = getpid();
	int pidfd = -1;

	set_up(&f, false);
	REQUIRE_EQ(handshake_send(f.other, HANDSHAKE_PROCESS, &pid, sizeof(pid), f.sender_pidfd),
		   0);
	REQUIRE_EQ(handshake_recv_process(f.worker, f.sender, f.sender_pidfd, &pid, &pidfd, &err),
		   -1);
	CHECK_STR(err.msg, "the process sent an unexpected message during its set-up");
	tear_down(&f);
}
