/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends SIGTERM to a container's first process. If that is process 1 of a pid namespace and neither
 * handles nor blocks the signal, the kernel drops it, and the container would continue to run: only
 * then does the process get SIGKILL instead. By the state of the process:
 *
 *   handles or ignores SIGTERM, or is not process 1     SIGTERM
 *   blocks it (signalfd(2), sigwait(3), or in a fork)   checks up to TERMINATE_LOOKS times more,
 *                                                       then SIGTERM
 *   does not block it, and runs                         the same, then SIGKILL
 *   does not block it, and sleeps                       SIGTERM; SIGKILL if that was dropped
 *
 * The last row exists because the kernel unblocks the signals that a thread waits for in
 * sigtimedwait(2), so the mask alone does not distinguish such a process from one without a
 * handler. A signal that is not dropped wakes the thread up, which shows in its counters of context
 * switches. Loop side: reads only files of procfs that do not block.
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

/* The number of threads that are examined. A program with more threads is expected to handle
 * SIGTERM. */
#define TERMINATE_THREADS_MAX 256

/* The state of one thread as read from its status file in procfs (proc_pid_status(5)). */
struct term_view {
	/* The process is process 1 of its pid namespace. */
	bool is_init;
	/* The thread waits for an event (interruptible sleep). */
	bool sleeps;
	/* The process has a handler for SIGTERM, or ignores it. */
	bool heeds;
	/* The thread has SIGTERM blocked. */
	bool blocks;
	/* SIGTERM is pending for the thread or for the process. */
	bool pending;
	/* The thread's counters of voluntary and involuntary context switches. */
	char switches[2][24];
};

/* The next step, and its signal. */
enum term_verdict {
	/* SIGTERM was sent and not dropped. */
	TERM_DONE,
	/* Nothing was sent; look again later. */
	TERM_AGAIN,
	TERM_SEND,
	TERM_KILL,
	TERM_FAILED,
};

static int term_step(struct process *p, struct error *err);
static void terminate_recheck(void *data);
static enum term_verdict term_judge(const struct process *p, bool is_last, struct error *err);
static bool term_look(int proc, const char *path, struct term_view *v);
static bool term_was_dropped(const struct term_view *before, int proc, const char *path);
static bool term_reaches_thread(const struct process *p);

int
sandbox_terminate(const struct sandbox *s, struct process *p, struct error *err)
{
	/* An earlier SIGTERM is still being handled; like a pending signal, it is not queued
	 * twice. */
	if (p->term.timer)
		return 0;
	p->term.proc = s->parts.roots->proc;
	p->term.looks = 0;
	return term_step(p, err);
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

/* Copies the value of a line "name:\tvalue". Returns false if there is no such line, or it is too
 * long. */
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

/* Reads the state of a thread. Returns false if that fails, for example because it has ended. */
static bool
term_look(int proc, const char *path, struct term_view *v)
{
	/* The list of groups, which may be long, comes before the masks. */
	char status[16384], word[256];
	const char *last;

	*v = (struct term_view){ 0 };
	if (read_text_at(proc, path, status, sizeof(status)) <= 0 ||
	    !term_field(status, "\nvoluntary_ctxt_switches:", v->switches[0],
			sizeof(v->switches[0])) ||
	    !term_field(status, "\nnonvoluntary_ctxt_switches:", v->switches[1],
			sizeof(v->switches[1])))
		return false;
	/* One number for each pid namespace of the process, the innermost last. */
	last = term_field(status, "\nNSpid:", word, sizeof(word)) ? strrchr(word, '\t') : NULL;
	v->is_init = last && strcmp(last, "\t1") == 0;
	v->sleeps = term_field(status, "\nState:", word, sizeof(word)) && *word == 'S';
	v->heeds = term_mask_has(status, "\nSigIgn:") || term_mask_has(status, "\nSigCgt:");
	v->blocks = term_mask_has(status, "\nSigBlk:");
	v->pending = term_mask_has(status, "\nSigPnd:") || term_mask_has(status, "\nShdPnd:");
	return true;
}

/* Returns whether a signal sent to a sleeping thread after `before` was dropped. Otherwise it has
 * made the thread runnable before the call that sent it returned. A wake-up for another reason is
 * taken for the signal. */
static bool
term_was_dropped(const struct term_view *before, int proc, const char *path)
{
	struct term_view after;

	return term_look(proc, path, &after) && after.sleeps && !after.pending && !after.blocks &&
	       strcmp(before->switches[0], after.switches[0]) == 0 &&
	       strcmp(before->switches[1], after.switches[1]) == 0;
}

/* Returns whether a thread other than the first takes the signal in sigtimedwait(2). The kernel has
 * dropped the signal for the process as a whole, which the first thread's mask decides. */
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
		/* A thread that blocks the signal leaves it to other threads. */
		if (!term_look(dirfd(dir), path, &v) || v.blocks || !v.sleeps ||
		    sys_tgkill(p->pid, (pid_t)tid, SIGTERM) < 0)
			continue;
		reached = !term_was_dropped(&v, dirfd(dir), path);
	}
	(void)closedir(dir);
	return reached;
}
