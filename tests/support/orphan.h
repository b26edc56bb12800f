/* SPDX-License-Identifier: Apache-2.0 */
/* Ends processes of the tests whose starter was killed: nothing else would end them. */
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Has the kernel kill this process when the thread that forked it ends. `parent` is its process,
 * which may have ended already; it has no number in a new pid namespace. */
static inline void
die_with_parent(pid_t parent)
{
	pid_t now;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	now = getppid();
	if (now != parent && now != 0)
		_exit(1);
}
