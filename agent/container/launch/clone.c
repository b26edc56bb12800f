/* SPDX-License-Identifier: Apache-2.0 */
/* clone3() in an existing user namespace (clone.h). Called by child.c. */
#include "agent/container/launch/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* The helper's report. The helper shares its descriptor table with the worker, so the pidfd is
 * valid there. */
struct outcome {
	pid_t pid;
	int pidfd, error;
};

/* Joins the namespaces, clones, reports and exits. Returns in the new process only. */
static void
clone_help(int user_ns, int pid_ns, struct clone_args *args, int report)
{
	struct outcome o = { .pid = -1, .pidfd = -1 };

	if ((pid_ns < 0 || setns(pid_ns, CLONE_NEWPID) == 0) && setns(user_ns, CLONE_NEWUSER) == 0)
		o.pid = sys_clone3(args);
	if (o.pid == 0)
		return;
	o.error = errno;
	if (o.pid > 0)
		o.pidfd = *(const int *)(uintptr_t)args->pidfd;
	(void)write_full(report, &o, sizeof(o));
	_exit(0);
}

/* Reads the report, unless the helper dies without one. */
static int
clone_await(int helper, int report, struct outcome *o)
{
	struct pollfd fds[2] = { { .fd = report, .events = POLLIN },
				 { .fd = helper, .events = POLLIN } };

	while (poll(fds, 2, -1) < 0) {
		if (errno != EINTR)
			return -1;
	}
	/* The helper may have reported and exited between the two checks of one poll(2). */
	if (!(fds[0].revents & POLLIN))
		(void)RETRY_EINTR(poll(fds, 1, 0));
	if (!(fds[0].revents & POLLIN) || read_full(report, o, sizeof(*o)) != sizeof(*o)) {
		errno = ESRCH;
		return -1;
	}
	return 0;
}

pid_t
clone_in(int user_ns, int pid_ns, struct clone_args *args)
{
	struct clone_args helper = { .flags = CLONE_FILES | CLONE_PARENT | CLONE_PIDFD };
	auto_close int helper_fd = -1;
	struct outcome o;
	int report[2], result;
	pid_t pid;

	if (user_ns < 0)
		return sys_clone3(args);
	if (pipe2(report, O_CLOEXEC) < 0)
		return -1;
	helper.pidfd = (uint64_t)(uintptr_t)&helper_fd;
	pid = sys_clone3(&helper);
	if (pid == 0) {
		clone_help(user_ns, pid_ns, args, report[1]);
		/* The descriptor table is a copy from here on. */
		(void)close(report[0]);
		(void)close(report[1]);
		return 0;
	}
	result = pid < 0 ? -1 : clone_await(helper_fd, report[0], &o);
	close_fd(&report[0]);
	close_fd(&report[1]);
	if (result < 0)
		return -1;
	if (o.pid > 0)
		*(int *)(uintptr_t)args->pidfd = o.pidfd;
	errno = o.error;
	return o.pid;
}
