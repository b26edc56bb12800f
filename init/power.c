/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-off, used by init when the agent has ended or requests it, and by the crash handler. Limits
 * the time of the sync, does not use lib/log, and never returns in the product.
 */
#include "init/power.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init/cgroups.h"
#include "lib/crash.h"
#include "lib/deadline.h"
#include "lib/sys.h"

#define SYNC_MS 5000

static void power_sync_bounded(const struct power_ops *ops);
static bool power_wait_at_most(pid_t child, unsigned int ms);

void
power_off(const struct power_ops *ops, bool without_sync)
{
	if (!without_sync) {
		ops->kill_all();
		power_sync_bounded(ops);
	}
	if (ops->can_power_off()) {
		(void)ops->reboot(RB_POWER_OFF);
		crash_say("tatami-init: failed to power off, trying to reboot\n");
	}
	(void)ops->reboot(RB_AUTOBOOT);
	crash_say("tatami-init: failed to reboot, halting\n");
	ops->rest();
}

static void
power_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
}

static void
power_sync_bounded(const struct power_ops *ops)
{
	static const struct timespec settle = { .tv_sec = 1 };
	/* A fork(2) without the locks and handlers of the C library, since this may be a signal
	 * handler. */
	pid_t child = sys_clone(SIGCHLD, NULL, NULL);

	if (child == 0) {
		ops->sync();
		_exit(0);
	}
	if (child > 0) {
		if (!power_wait_at_most(child, ops->sync_ms))
			crash_say("tatami-init: timed out syncing disks\n");
		return;
	}
	/* No process can be created. The kernel can sync by itself, but does not report
	 * completion. */
	crash_say("tatami-init: failed to create a process for sync, using emergency sync\n");
	power_write_file("/proc/sysrq-trigger", "s");
	(void)nanosleep(&settle, NULL);
}

/* Waits for the child, which may hang in the kernel. Returns whether it ended in time. */
static bool
power_wait_at_most(pid_t child, unsigned int ms)
{
	uint64_t deadline = deadline_in(ms);
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	for (;;) {
		struct timespec wait;
		pid_t pid = waitpid(child, NULL, WNOHANG | __WALL);

		if (pid == child || (pid < 0 && errno == ECHILD))
			return true;
		if (deadline_is_over(deadline))
			return false;
		wait = deadline_left(deadline);
		/* Other children may end, too. */
		(void)sigtimedwait(&chld, NULL, &wait);
	}
}

static void
power_kill_pods(void)
{
	power_write_file(CGROUP_MOUNT "/" CGROUP_PODS "/cgroup.kill", "1");
}

static void
power_real_sync(void)
{
	sync();
}

/* A PC is powered off by ACPI only, which microVMs lack. */
static bool
power_real_can(void)
{
#if defined(__x86_64__)
	return access("/sys/firmware", F_OK) < 0 || access("/sys/firmware/acpi", F_OK) == 0;
#else
	return true;
#endif
}

static int
power_real_reboot(int how)
{
	return reboot(how);
}

static void
power_real_rest(void)
{
	for (;;)
		(void)pause();
}

const struct power_ops power_real = {
	.kill_all = power_kill_pods,
	.sync = power_real_sync,
	.can_power_off = power_real_can,
	.reboot = power_real_reboot,
	.rest = power_real_rest,
	.sync_ms = SYNC_MS,
};
