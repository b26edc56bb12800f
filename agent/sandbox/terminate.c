/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGTERM to a container's first process. If that is the first process of a pid namespace, the kernel drops the signal
 * when it has neither a handler nor is blocked, and the container would run on: it gets SIGKILL then, and only then.
 *
 *   has a handler, ignores it, or is not process 1    SIGTERM
 *   blocked: signalfd(2), sigwait(3), or just a fork  looks again, up to TERMINATE_LOOKS times; then SIGTERM
 *   not blocked, but runs                             the same; then SIGKILL
 *   not blocked, and sleeps                           SIGTERM; SIGKILL if the kernel has dropped it
 *
 * The last row is there since the kernel takes signals out of the mask of blocked ones while a thread waits for them
 * in sigtimedwait(2): the mask alone cannot tell such a process from one without a handler. But a signal that is not
 * dropped wakes the thread up, and that can be seen. Loop side: reads only files of procfs that never wait.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/sys.h"

#define TERMINATE_LOOK_MS 10
#define TERMINATE_LOOKS   5

/* Threads of a process that are examined; what has more of them has handlers. */
#define TERMINATE_THREADS_MAX 256

/* What /proc/<pid>/status tells of one thread (proc_pid_status(5)). */
struct term_view {
	bool is_init;         /* process 1 of its pid namespace */
	bool sleeps;          /* and waits for an event */
	bool heeds;           /* has a handler, or ignores it: the whole process */
	bool blocks;          /* this thread */
	bool pending;         /* for this thread, or for the process */
	char switches[2][24]; /* how often it has been on a processor */
};

/* The value of a line "name:\tvalue", up to its end. False: there is no such line, or it is too long. */
static bool
term_field(const char *status, const char *name, char *out, size_t size)
{
	const char *line = strstr(status, name);
	size_t n;

	if (!line)
		return false;
	line += strlen(name);
	line += strspn(line, " \t");
	n = strcspn(line, "\n");
	if (n >= size)
		return false;
	memcpy(out, line, n);
	out[n] = '\0';
	return true;
}

static bool
term_mask_has(const char *status, const char *name)
{
	char hex[24];
	uint64_t mask;

	return term_field(status, name, hex, sizeof(hex)) && parse_hex(hex, &mask) &&
	       (mask >> (SIGTERM - 1) & 1) != 0;
}

/* False: it cannot be told, for example since the process has ended. */
static bool
term_look(int proc, const char *path, struct term_view *v)
{
	/* a list of groups comes before the masks */
	char status[16384], word[256];
	const char *last;

	*v = (struct term_view){ 0 };
	if (read_text_at(proc, path, status, sizeof(status)) <= 0 ||
	    !term_field(status, "\nvoluntary_ctxt_switches:", v->switches[0],
			sizeof(v->switches[0])) ||
	    !term_field(status, "\nnonvoluntary_ctxt_switches:", v->switches[1],
			sizeof(v->switches[1])))
		return false;
	/* one number for each pid namespace that it is in, the innermost last */
	last = term_field(status, "\nNSpid:", word, sizeof(word)) ? strrchr(word, '\t') : NULL;
	v->is_init = last && strcmp(last, "\t1") == 0;
	v->sleeps = term_field(status, "\nState:", word, sizeof(word)) && *word == 'S';
	v->heeds = term_mask_has(status, "\nSigIgn:") || term_mask_has(status, "\nSigCgt:");
	v->blocks = term_mask_has(status, "\nSigBlk:");
	v->pending = term_mask_has(status, "\nSigPnd:") || term_mask_has(status, "\nShdPnd:");
	return true;
}

/* Was a signal that was sent between two views of a sleeping thread dropped? It had made the thread runnable before
 * the call that sent it returned. What woke the thread up for another reason counts as the signal. */
static bool
term_was_dropped(const struct term_view *before, int proc, const char *path)
{
	struct term_view after;

	return term_look(proc, path, &after) && after.sleeps && !after.pending && !after.blocks &&
	       strcmp(before->switches[0], after.switches[0]) == 0 &&
	       strcmp(before->switches[1], after.switches[1]) == 0;
}

/* The signal was dropped for the process as a whole, for which its first thread decides: is there another thread that
 * waits for it and takes it? */
static bool
term_reaches_thread(const struct process *p)
{
	char path[64];
	auto_close int fd = -1;
	bool reached = false;
	struct dirent *d;
	uint32_t tid;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%d/task", (int)p->pid);
	fd = openat(p->term.proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return false;
	(void)steal_fd(&fd);
	for (int n = 0; !reached && n < TERMINATE_THREADS_MAX && (d = readdir(dir)); n++) {
		struct term_view v;

		if (!parse_u32(d->d_name, &tid) || (pid_t)tid == p->pid)
			continue;
		(void)snprintf(path, sizeof(path), "%u/status", tid);
		/* one that has blocked it all along is a worker that leaves signals to others */
		if (!term_look(dirfd(dir), path, &v) || v.blocks || !v.sleeps ||
		    sys_tgkill(p->pid, (pid_t)tid, SIGTERM) < 0)
			continue;
		reached = !term_was_dropped(&v, dirfd(dir), path);
	}
	(void)closedir(dir);
	return reached;
}

/* What is to be done now, with the signal if it is to be sent. */
enum term_verdict {
	TERM_DONE,  /* it was sent, and was not dropped */
	TERM_AGAIN, /* nothing was sent: another look may tell more */
	TERM_SEND,
	TERM_KILL,
	TERM_FAILED,
};

static enum term_verdict
term_judge(const struct process *p, bool is_last, struct error *err)
{
	struct term_view v;
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/status", (int)p->pid);
	if (!term_look(p->term.proc, path, &v) || !v.is_init || v.heeds)
		return TERM_SEND;
	if (v.blocks)
		return is_last ? TERM_SEND : TERM_AGAIN;
	if (!v.sleeps)
		return is_last ? TERM_KILL : TERM_AGAIN;
	if (process_signal(p, SIGTERM, err) < 0)
		return TERM_FAILED;
	if (!term_was_dropped(&v, p->term.proc, path) || term_reaches_thread(p))
		return TERM_DONE;
	return TERM_KILL;
}

static int term_step(struct process *p, struct error *err);

static void
terminate_recheck(void *data)
{
	struct process *p = data;
	const struct log_field field = { "container-id", p->container->id };
	struct error err = ERROR_INIT;

	p->term.timer = NULL;
	if (!p->exited && term_step(p, &err) < 0)
		log_write(LOG_LEVEL_WARN, "sandbox", &field, 1,
			  "container %s: failed to send SIGTERM: %s", p->container->id, err.msg);
}

static int
term_step(struct process *p, struct error *err)
{
	switch (term_judge(p, p->term.looks >= TERMINATE_LOOKS, err)) {
	case TERM_AGAIN:
		p->term.looks++;
		p->term.timer = loop_timer(p->container->loop, TERMINATE_LOOK_MS, terminate_recheck,
					   p, err);
		return p->term.timer ? 0 : process_signal(p, SIGTERM, err);
	case TERM_SEND:
		return process_signal(p, SIGTERM, err);
	case TERM_KILL:
		return process_signal(p, SIGKILL, err);
	case TERM_DONE:
		return 0;
	case TERM_FAILED:
		break;
	}
	return -1;
}

int
sandbox_terminate(const struct sandbox *s, struct process *p, struct error *err)
{
	/* one that is under way already: a signal is not queued twice */
	if (p->term.timer)
		return 0;
	p->term.proc = s->parts.roots->proc;
	p->term.looks = 0;
	return term_step(p, err);
}
