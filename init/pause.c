/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a container when the program is called as "pause". Not part of init. */
#include "init/pause.h"

#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int
pause_run(void)
{
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		sig = sigwaitinfo(&set, NULL);
		if (sig == SIGTERM || sig == SIGINT)
			return 0;
	}
}
