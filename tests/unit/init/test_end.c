/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the guest: power-off with its fallbacks, a sync that hangs, and faults in PID 1. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/crash.h"
#include "init/power.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/elapsed.h"
#include "tests/unit/init/sandbox.h"

/* The calls made, in order. Shared with the forked process. */
static struct {
	char text[64];
	int is_sync_hanging, has_no_power_off;
} * seen;

static void
note(const char *what)
{
	size_t n = strlen(seen->text);

	(void)strncpy(seen->text + n, what, sizeof(seen->text) - 1 - n);
}

static void
fake_kill(void)
{
	note("k");
}

static void
fake_sync(void)
{
	note("s");
	while (seen->is_sync_hanging)
		(void)pause();
}

static bool
fake_can_power_off(void)
{
	return !seen->has_no_power_off;
}

static int
fake_reboot(int how)
{
	note(how == (int)RB_POWER_OFF ? "P" : how == (int)RB_AUTOBOOT ? "B" : "?");
	/* As after EPERM. */
	return -1;
}

static void
fake_rest(void)
{
	_exit(42);
}

static const struct power_ops fake = {
	.kill_all = fake_kill,
	.sync = fake_sync,
	.can_power_off = fake_can_power_off,
	.reboot = fake_reboot,
	.rest = fake_rest,
	.sync_ms = 300,
};

static void
setup(void)
{
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE((void *)seen != MAP_FAILED);
}

static int
end(void *data)
{
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	REQUIRE_EQ(sigprocmask(SIG_BLOCK, &chld, NULL), 0);
	power_off(&fake, data != NULL);
	return 1;
}

Test(end, kills_syncs_powers_off_and_falls_back, .init = setup, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(0, end, NULL), 42);
	CHECK_STR(seen->text, "ksPB");
}

/* The kernel would halt forever. */
Test(end, reboots_without_a_power_off, .init = setup, .timeout = 30)
{
	sandbox_require();
	seen->has_no_power_off = 1;
	REQUIRE_EQ(sandbox_run(0, end, NULL), 42);
	CHECK_STR(seen->text, "ksB");
}

Test(end, can_do_without_sync, .init = setup, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(0, end, &fake_rest), 42);
	CHECK_STR(seen->text, "PB");
}

Test(end, does_not_wait_for_a_hung_sync, .init = setup, .timeout = 30)
{
	uint64_t start = monotonic_ns(), ms;

	sandbox_require();
	seen->is_sync_hanging = 1;
	start = monotonic_ns();
	REQUIRE_EQ(sandbox_run(0, end, NULL), 42);
	ms = elapsed_ms(start);
	CHECK_STR(seen->text, "ksPB");
	/* a hung sync never ends */
	CHECK_GE(ms, 300);
}

/* ---- faults ---- */

static volatile int sink;

__attribute__((noinline)) static int
overflow(int depth)
{
	volatile char frame[4096];

	frame[depth % 4096] = (char)depth;
	return depth < 1 << 30 ? overflow(depth + 1) + frame[0] : frame[1];
}

static void
fault(int kind)
{
	char *nowhere;
	int fd;

	switch (kind) {
	case SIGSEGV:
		nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		*(volatile char *)nowhere = 1;
		break;
	case SIGBUS:
		fd = memfd_create("short", MFD_CLOEXEC);
		nowhere = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		*(volatile char *)nowhere = 1;
		break;
	case SIGILL:
		__builtin_trap();
	case SIGABRT:
		abort();
	default:
		sink = overflow(0);
		break;
	}
}

static int
crash(void *data)
{
	struct rlimit stack = { 1 << 20, 1 << 20 };
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)setrlimit(RLIMIT_STACK, &stack);
	(void)dup2(quiet, STDERR_FILENO);
	crash_install(&fake);
	fault(*(int *)data);
	return 1;
}

Test(end, powers_off_after_a_fault, .init = setup, .timeout = 60)
{
	static int kinds[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, 0 };

	sandbox_require();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		memset(seen->text, 0, sizeof(seen->text));
		CHECK_EQ(sandbox_run(0, crash, &kinds[i]), 42, "fault %d", kinds[i]);
		CHECK_STR(seen->text, "ksPB", "fault %d", kinds[i]);
	}
}

/* A fault in the handler powers off without a second sync. */
static void
faulty_kill(void)
{
	note("!");
	fault(SIGSEGV);
}

static int
crash_twice(void *data)
{
	struct power_ops faulty = fake;
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)data;
	faulty.kill_all = faulty_kill;
	(void)dup2(quiet, STDERR_FILENO);
	crash_install(&faulty);
	fault(SIGSEGV);
	return 1;
}

Test(end, ends_even_if_the_handler_faults, .init = setup, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(0, crash_twice, NULL), 42);
	CHECK_STR(seen->text, "!PB");
}

/* The same signals sent by a process are ignored by PID 1. */
static int
sent(void *data)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };
	int status;
	pid_t pid;

	(void)data;
	crash_install(&fake);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
			if (kill(1, sigs[i]) < 0)
				_exit(1);
		_exit(0);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE_EQ(status, 0);
	return 17;
}

Test(end, ignores_faults_that_were_sent, .init = setup, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(0, sent, NULL), 17);
	CHECK_STR(seen->text, "");
}
