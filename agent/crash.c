/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's crash handler. Only async-signal-safe calls; never tries to go on. */
#include "agent/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sigtext.h"

/* The sanitizer's own handler says more than ours. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define STACK_SIZE (32u << 10) /* a signal frame with the largest vector registers, and us */

/* Mutable and at file scope because a signal handler has nothing else to go by. */
static struct {
	int kmsg; /* 0: not open */
	_Alignas(16) unsigned char stack[STACK_SIZE];
} g_crash;

static void
on_crash(int sig, siginfo_t *info, void *context)
{
	char line[128], *p = line;

	(void)context;
	p = sigtext_put(p, "kata-agent: fatal signal ");
	p = sigtext_put_number(p, (uint64_t)sig, 10);
	p = sigtext_put(p, " code ");
	p = sigtext_put_number(p, (uint64_t)(uint32_t)info->si_code, 10);
	p = sigtext_put(p, " address 0x");
	p = sigtext_put_number(p, (uint64_t)(uintptr_t)info->si_addr, 16);
	p = sigtext_put(p, "\n");
	(void)!write(STDERR_FILENO, line, (size_t)(p - line));
	if (g_crash.kmsg > 0)
		(void)!write(g_crash.kmsg, line, (size_t)(p - line));
	/* The action is the default one by now; a fault happens again, a signal that was sent must be. */
	if (info->si_code <= 0)
		(void)raise(sig);
}

void
crash_watch(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT };
	stack_t stack = { .ss_sp = g_crash.stack, .ss_size = sizeof(g_crash.stack) };
	struct sigaction act = {
		.sa_sigaction = on_crash,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER,
	};
	int fd;

	if (SANITIZED)
		return;
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd > STDERR_FILENO)
		g_crash.kmsg = fd;
	(void)sigaltstack(&stack, NULL);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		(void)sigaction(fatal[i], &act, NULL);
}
