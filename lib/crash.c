/* SPDX-License-Identifier: Apache-2.0 */
/* Crash handlers. */
#include "lib/crash.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/sigtext.h"

/* Two signal frames with the largest vector registers, and the handler. */
#define STACK_SIZE (32u << 10)

const int crash_signals[CRASH_SIGNALS] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };

/* Mutable and at file scope because a signal handler has nothing else to go by. */
static struct {
	/* 0: not open (stdin is never the log) */
	int kmsg;
	_Alignas(16) unsigned char stack[STACK_SIZE];
} g_crash;

void
crash_fill_set(sigset_t *set)
{
	(void)sigemptyset(set);
	for (size_t i = 0; i < CRASH_SIGNALS; i++)
		(void)sigaddset(set, crash_signals[i]);
}

void
crash_catch(crash_fn *fn, int flags)
{
	stack_t stack = { .ss_sp = g_crash.stack, .ss_size = sizeof(g_crash.stack) };
	struct sigaction act = {
		.sa_sigaction = fn,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | flags,
	};

	(void)sigaltstack(&stack, NULL);
	if (!(flags & SA_NODEFER))
		crash_fill_set(&act.sa_mask);
	for (size_t i = 0; i < CRASH_SIGNALS; i++)
		(void)sigaction(crash_signals[i], &act, NULL);
}

const char *
crash_describe(char line[CRASH_LINE_MAX], const char *name, int sig, const siginfo_t *info,
	       const char *end)
{
	char *p = sigtext_put(line, name);

	p = sigtext_put(p, ": fatal signal ");
	p = sigtext_put_number(p, (uint64_t)sig, 10);
	p = sigtext_put(p, " code ");
	p = sigtext_put_number(p, (uint64_t)(uint32_t)info->si_code, 10);
	p = sigtext_put(p, " address 0x");
	p = sigtext_put_number(p, (uint64_t)(uintptr_t)info->si_addr, 16);
	p = sigtext_put(p, end);
	*p = '\0';
	return line;
}

void
crash_open_kmsg(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);

	g_crash.kmsg = fd > STDERR_FILENO ? fd : 0;
}

bool
crash_kmsg(const char *line)
{
	static const char level[] = "<2>";
	struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)level, .iov_len = sizeof(level) - 1 },
		{ .iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line) },
	};

	if (g_crash.kmsg <= 0)
		return false;
	(void)!writev(g_crash.kmsg, parts, 2);
	return true;
}

void
crash_say(const char *line)
{
	if (!crash_kmsg(line))
		(void)!write(STDERR_FILENO, line, strlen(line));
}
