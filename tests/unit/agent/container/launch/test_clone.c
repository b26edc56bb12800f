/* SPDX-License-Identifier: Apache-2.0 */
/* Cloning in a user namespace that exists already. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/clone.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"

/* the report comes after the look for it, and before the look for the end of the helper */
static bool is_late;

/* In place of the C library's. */
int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	const struct timespec time = { .tv_sec = timeout / 1000,
				       .tv_nsec = timeout % 1000 * 1000000l };

	if (is_late && n == 2) {
		is_late = false;
		fds[0].revents = 0;
		return (int)syscall(SYS_ppoll, fds + 1, 1, NULL, NULL, 0);
	}
	return (int)syscall(SYS_ppoll, fds, n, timeout < 0 ? NULL : &time, NULL, 0);
}

/* A process that is the parent's child, too: 0 if clone_in() returns the pid of the process that
 * it makes. */
static int
clone_once(int user_ns)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd };
	pid_t pid = clone_in(user_ns, -1, &args);

	if (pid == 0)
		_exit(0);
	return pid > 0 && pidfd >= 0 ? 0 : errno;
}

/* A clone in the user namespace of a waiting process. */
static int
clone_in_new(void)
{
	char path[64], byte;
	int ready[2], user_ns, result;
	pid_t self = getpid(), holder;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return errno;
	holder = fork();
	if (holder == 0) {
		die_with_parent(self);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return ECHILD;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)holder);
	user_ns = open(path, O_RDONLY | O_CLOEXEC);
	result = user_ns < 0 ? errno : clone_once(user_ns);
	(void)kill(holder, SIGKILL);
	return result;
}

static void
expect_clone(void)
{
	int status = -1, all;
	pid_t pid = fork(), ended;

	REQUIRE_GE(pid, 0);
	if (pid == 0)
		_exit(clone_in_new());
	while ((ended = waitpid(-1, &all, __WALL)) > 0) {
		if (ended == pid)
			status = all;
	}
	REQUIRE_EQ(status, 0, "%#x", (unsigned int)status);
}

Test(clone, user_namespace_of_another)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	expect_clone();
}

Test(clone, report_and_end_of_the_helper_at_the_same_time)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	is_late = true;
	expect_clone();
}
