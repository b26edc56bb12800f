/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills processes that outlive the agent when PID 1 is another init. Otherwise they would become
 * children of that init and keep mounts and cgroups alive. Called at the end of the supervise loop.
 */
#include "init/kill_orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init/children.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/parse.h"

#define PATIENCE_MS 2000

static bool kill_orphans_reap(struct children *known, uint64_t *reaped);
static bool kill_listed(void);

void
kill_orphans(struct children *known, uint64_t *reaped)
{
	uint64_t deadline = deadline_in(PATIENCE_MS);
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	while (kill_orphans_reap(known, reaped)) {
		struct child_entry *e;
		struct timespec wait;
		size_t pos = 0;

		if (!kill_listed()) {
			while ((e = children_next(known, &pos, CHILD_LIVE)))
				(void)kill(e->pid, SIGKILL);
		}
		if (deadline_is_over(deadline)) {
			log_warn("supervise",
				 "timed out waiting for processes to end, continuing without them");
			return;
		}
		wait = deadline_left(deadline);
		(void)sigtimedwait(&chld, NULL, &wait);
	}
}

/* Returns false once there are no children left. */
static bool
kill_orphans_reap(struct children *known, uint64_t *reaped)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
		struct child_entry *e;

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return pid == 0;
		++*reaped;
		e = children_find(known, pid);
		if (e)
			e->flags &= (uint16_t)~CHILD_LIVE;
	}
}

/* Sends SIGKILL to each child that the kernel lists. Returns false without CONFIG_PROC_CHILDREN.
 * The pids cannot have been reused, since they belong to children that are not reaped yet. */
static bool
kill_listed(void)
{
	char path[64], text[4096], *save = NULL;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	n = read_text_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return false;
	/* The last number may be truncated; it is read again next time. */
	if ((size_t)n == sizeof(text) - 1)
		*strrchr(text, ' ') = '\0';
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		uint32_t pid;

		if (parse_u32(word, &pid) && pid > 1)
			(void)kill((pid_t)pid, SIGKILL);
	}
	return true;
}
