/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash handler of PID 1. Without it a fault would be a kernel panic; it logs the signal and
 * the address, syncs and powers off. Makes only async-signal-safe calls and never resumes.
 */
#include "init/crash.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "lib/crash.h"

/* At file scope because a signal handler has no context argument. */
static struct {
	const struct power_ops *ops;
	volatile sig_atomic_t depth;
} g_crash;

static void crash_on_signal(int sig, siginfo_t *info, void *context);

void
crash_install(const struct power_ops *ops)
{
	g_crash.ops = ops;
	crash_catch(crash_on_signal, SA_RESTART);
}

static void
crash_on_signal(int sig, siginfo_t *info, void *context)
{
	char line[CRASH_LINE_MAX];
	sigset_t faults, chld;

	(void)context;
	/* Ignores signals sent by a process: root in the guest can send any signal to PID 1. */
	if (info->si_code <= 0 && info->si_pid != getpid())
		return;
	/* power_off() waits for SIGCHLD. Faults only now, or signals that are sent could pile up
	 * frames on this stack. */
	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &chld, NULL);
	crash_fill_set(&faults);
	(void)sigprocmask(SIG_UNBLOCK, &faults, NULL);
	if (g_crash.depth++ > 0) {
		power_off(g_crash.ops, true);
		_exit(128 + sig);
	}
	crash_say(crash_describe(line, "tatami-init", sig, info, ", powering off\n"));
	power_off(g_crash.ops, false);
	_exit(128 + sig);
}
