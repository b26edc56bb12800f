/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's crash handler. Makes async-signal-safe calls only, and never resumes the agent. */
#include "agent/crash.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/crash.h"

/* The sanitizers' handler reports more. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void
on_crash(int sig, siginfo_t *info, void *context)
{
	char text[CRASH_LINE_MAX];
	const char *line = crash_describe(text, "kata-agent", sig, info, "\n");

	(void)context;
	(void)!write(STDERR_FILENO, line, strlen(line));
	(void)crash_kmsg(line);
	/* The signal has its default action again. A fault recurs on return; a signal that was sent
	 * must be sent again. */
	if (info->si_code <= 0)
		(void)raise(sig);
}

void
crash_watch(void)
{
	if (SANITIZED)
		return;
	crash_open_kmsg();
	crash_catch(on_crash, SA_RESETHAND | SA_NODEFER);
}
