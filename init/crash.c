/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash handler of PID 1. A fault would be a kernel panic without a word; this says which one and
 * where, syncs and powers off. Only async-signal-safe calls; never tries to go on.
 */
#include "init/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sigtext.h"

#define STACK_SIZE (32u << 10) /* two signal frames with the largest vector registers, and us */

/* Mutable and at file scope because a signal handler has nothing else to go by. */
static struct {
	const struct power_ops *ops;
	int kmsg; /* 0: not open (stdin is never the log) */
	volatile sig_atomic_t depth;
	_Alignas(16) unsigned char stack[STACK_SIZE];
} g_crash;

void
crash_say(const char *line)
{
	static const char level[] = "<2>"; /* critical: shown on the console also with `quiet` */
	struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)level, .iov_len = sizeof(level) - 1 },
		{ .iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line) },
	};

	if (g_crash.kmsg > 0)
		(void)!writev(g_crash.kmsg, parts, 2);
	else
		(void)!writev(STDERR_FILENO, &parts[1], 1);
}

void
crash_open_kmsg(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd > STDERR_FILENO)
		g_crash.kmsg = fd;
}

/* The signals that a fault of our own raises, and SIGCHLD, which power_off() waits for, in *chld. */
static void
fill_sets(sigset_t *faults, sigset_t *chld)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };

	(void)sigemptyset(faults);
	(void)sigemptyset(chld);
	(void)sigaddset(chld, SIGCHLD);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		(void)sigaddset(faults, fatal[i]);
}

static void
on_crash(int sig, siginfo_t *info, void *context)
{
	char line[128], *p = line;
	sigset_t faults, chld;

	(void)context;
	/* Sent, not caused: root in the guest may send PID 1 anything, and it means nothing. */
	if (info->si_code <= 0 && info->si_pid != getpid())
		return;
	/* Only now, or signals that are sent could pile up frames on this stack. */
	fill_sets(&faults, &chld);
	(void)sigprocmask(SIG_BLOCK, &chld, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &faults, NULL);
	if (g_crash.depth++ > 0) {
		power_off(g_crash.ops, true);
		_exit(128 + sig);
	}
	p = sigtext_put(p, "tatami-init: fatal signal ");
	p = sigtext_put_number(p, (uint64_t)sig, 10);
	p = sigtext_put(p, " code ");
	p = sigtext_put_number(p, (uint64_t)(uint32_t)info->si_code, 10);
	p = sigtext_put(p, " address 0x");
	p = sigtext_put_number(p, (uint64_t)(uintptr_t)info->si_addr, 16);
	p = sigtext_put(p, ", powering off\n");
	*p = '\0';
	crash_say(line);
	power_off(g_crash.ops, false);
	_exit(128 + sig);
}

void
crash_install(const struct power_ops *ops)
{
	stack_t stack = { .ss_sp = g_crash.stack, .ss_size = sizeof(g_crash.stack) };
	struct sigaction act = {
		.sa_sigaction = on_crash,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};
	sigset_t faults, chld;

	g_crash.ops = ops;
	(void)sigaltstack(&stack, NULL);
	fill_sets(&faults, &chld);
	act.sa_mask = faults;
	for (int sig = 1; sig < 32; sig++)
		if (sigismember(&faults, sig))
			(void)sigaction(sig, &act, NULL);
}
