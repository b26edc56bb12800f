/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals to a container's processes, at once and without a fork: they must arrive when nothing else
 * works any more. Called by SignalProcess and when a container is taken down. Must never wait for what it
 * killed.
 */
#include "agent/sandbox/private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup/cgroup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/parse.h"

#define SIGNAL_MAX   64 /* _NSIG of every architecture but MIPS */
#define TERM_LOOK_MS 20
#define TERM_LOOKS   10 /* then it means to block the signal */

int
sandbox_kill_all(struct sandbox *s, struct container *c, struct error *err)
{
	if (s->parts.roots->cgroup >= 0 && *c->cgroup_path) {
		if (cgroup_kill(s->parts.roots->cgroup, c->cgroup_path) == 0)
			return 0;
		if (errno != ENOENT && errno != ENODEV)
			return error_sys(err, "kill everything in container %s", c->id);
	}
	container_kill_processes(c);
	return 0;
}

/* Is a bit of one mask in the text of /proc/<pid>/status (proc_pid_status(5)) set? */
static bool
mask_has(const char *status, const char *name, int signal)
{
	const char *line = strstr(status, name);
	char hex[17];
	size_t n;
	uint64_t mask;

	if (!line)
		return false;
	line += strlen(name);
	line += strspn(line, " \t");
	n = strcspn(line, "\n");
	if (n >= sizeof(hex))
		return false;
	memcpy(hex, line, n);
	hex[n] = '\0';
	return parse_hex(hex, &mask) && (mask >> (signal - 1) & 1) != 0;
}

enum heed {
	HEED_NO,
	HEED_BLOCKS, /* for good, to read it with sigwait(3) or signalfd(2), or just for a fork(3) */
	HEED_YES,    /* handles or ignores it, or that cannot be told */
};

static enum heed
heeds_sigterm(int proc, pid_t pid)
{
	char path[32];
	char status[16384]; /* a list of groups comes before the masks */

	(void)snprintf(path, sizeof(path), "%d/status", (int)pid);
	if (read_text_at(proc, path, status, sizeof(status)) <= 0 ||
	    !strstr(status, "\nSigCgt:") || /* cut off */
	    mask_has(status, "\nSigIgn:", SIGTERM) || mask_has(status, "\nSigCgt:", SIGTERM))
		return HEED_YES;
	return mask_has(status, "\nSigBlk:", SIGTERM) ? HEED_BLOCKS : HEED_NO;
}

/* The kernel drops a SIGTERM to the init of a pid namespace that has no handler, also one that was pending once it is
 * no longer blocked. */
static void
look_again(void *data)
{
	struct process *p = data;
	struct error err = ERROR_INIT;
	enum heed heed;

	p->term.timer = NULL;
	if (p->exited)
		return;
	heed = heeds_sigterm(p->term.proc, p->pid);
	if (heed == HEED_NO && process_signal(p, SIGKILL, &err) < 0)
		log_warn("sandbox", "container %s: %s", p->container->id, err.msg);
	if (heed != HEED_BLOCKS || ++p->term.looks >= TERM_LOOKS)
		return;
	p->term.timer = loop_timer(p->container->loop, TERM_LOOK_MS, look_again, p, &err);
	if (!p->term.timer)
		log_warn("sandbox", "container %s: SIGTERM: %s", p->container->id, err.msg);
}

/* SIGTERM to an init: SIGKILL if it would be dropped. */
static int
terminate_init(const struct sandbox *s, struct process *p, struct error *err)
{
	enum heed heed = heeds_sigterm(s->parts.roots->proc, p->pid);

	if (process_signal(p, heed == HEED_NO ? SIGKILL : SIGTERM, err) < 0)
		return -1;
	if (heed != HEED_BLOCKS || p->term.timer)
		return 0;
	p->term.proc = s->parts.roots->proc;
	p->term.looks = 0;
	p->term.timer = loop_timer(p->container->loop, TERM_LOOK_MS, look_again, p, err);
	return p->term.timer ? 0 : -1;
}

int
sandbox_signal(struct sandbox *s, struct process *p, uint32_t signal, struct error *err)
{
	if (signal > SIGNAL_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "signal %u is over %d", signal,
				 SIGNAL_MAX);
	if (signal == SIGTERM && p == p->container->init && !p->exited)
		return terminate_init(s, p, err);
	return process_signal(p, (int)signal, err);
}
