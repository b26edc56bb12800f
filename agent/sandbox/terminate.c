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
 * switches. Something else may wake it up at the same moment, so this is believed only if it slept
 * in sigtimedwait(2); otherwise it is examined again. Loop side: reads only files of procfs that do
 * not block.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/sys.h"

#define TERMINATE_LOOK_MS 10
#define TERMINATE_LOOKS   5

/* The number of times that one look tries to see the process in the same sleep from beginning to
 * end. */
#define TERMINATE_TRIES 5

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

/* The state of a process that neither handles nor blocks SIGTERM. */
enum term_sleep {
	/* It did not remain asleep while it was examined. */
	TERM_RUNS,
	/* It sleeps in sigtimedwait(2), for whatever signals, or the kernel does not tell where. */
	TERM_MAY_HEAR,
	/* It sleeps in another system call. */
	TERM_DEAF,
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
static enum term_sleep term_sleeps(struct term_view *v, int proc, pid_t pid, const char *path);
static bool term_has_moved(const struct term_view *before, const struct term_view *after);
static bool term_was_dropped(const struct term_view *before, const struct term_view *after);
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
	struct term_view v, after;
	enum term_sleep state;
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/status", (int)p->pid);
	if (!term_look(p->term.proc, path, &v) || !v.is_init || v.heeds)
		return TERM_SEND;
	if (v.blocks)
		return is_last ? TERM_SEND : TERM_AGAIN;
	state = term_sleeps(&v, p->term.proc, p->pid, path);
	if (state == TERM_RUNS && !is_last)
		return TERM_AGAIN;
	if (state == TERM_RUNS)
		return v.heeds || v.blocks ? TERM_SEND : TERM_KILL;
	if (process_signal(p, SIGTERM, err) < 0)
		return TERM_FAILED;
	if (!term_look(p->term.proc, path, &after))
		return TERM_DONE;
	if (!term_was_dropped(&v, &after)) {
		if (state != TERM_DEAF || after.heeds || after.blocks || after.pending)
			return TERM_DONE;
		/* Something else has woken it up, unless it began to wait for SIGTERM just then. */
		if (!is_last)
			return TERM_AGAIN;
	}
	return term_reaches_thread(p) ? TERM_DONE : TERM_KILL;
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

/* Finds out how a process sleeps. `v` is what was seen of it, and is updated. */
static enum term_sleep
term_sleeps(struct term_view *v, int proc, pid_t pid, const char *path)
{
	/* The number of sigtimedwait(2) natively, and in 32-bit processes without and with 64-bit
	 * times. No native call that sleeps has one of the latter two. */
	static const uint32_t waits[] = { SYS_rt_sigtimedwait, 177, 421 };
	char call[32], text[256];

	(void)snprintf(call, sizeof(call), "%d/syscall", (int)pid);
	for (int i = 0; i < TERMINATE_TRIES; i++) {
		struct term_view before = *v;
		uint32_t number;

		if (before.sleeps && read_text_at(proc, call, text, sizeof(text)) <= 0)
			return TERM_MAY_HEAR;
		if (!term_look(proc, path, v) || v->heeds || v->blocks)
			return TERM_RUNS;
		if (!before.sleeps || !v->sleeps || term_has_moved(&before, v))
			continue;
		/* The number and the arguments, or "-1" for a sleep outside of a call. */
		text[strcspn(text, " \n")] = '\0';
		if (!parse_u32(text, &number))
			return TERM_MAY_HEAR;
		for (size_t n = 0; n < ARRAY_LEN(waits); n++)
			if (number == waits[n])
				return TERM_MAY_HEAR;
		return TERM_DEAF;
	}
	return TERM_RUNS;
}

/* Returns whether the thread has run between the two looks. */
static bool
term_has_moved(const struct term_view *before, const struct term_view *after)
{
	return strcmp(before->switches[0], after->switches[0]) != 0 ||
	       strcmp(before->switches[1], after->switches[1]) != 0;
}

/* Returns whether a signal sent to a sleeping thread between the two looks was dropped. Otherwise
 * it has made the thread runnable before the call that sent it returned. A wake-up for another
 * reason is taken for the signal. */
static bool
term_was_dropped(const struct term_view *before, const struct term_view *after)
{
	return after->sleeps && !after->pending && !after->blocks && !term_has_moved(before, after);
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
		struct term_view v, after;

		if (!parse_u32(d->d_name, &tid) || (pid_t)tid == p->pid)
			continue;
		(void)snprintf(path, sizeof(path), "%u/status", tid);
		/* A thread that blocks the signal leaves it to other threads. */
		if (!term_look(dirfd(dir), path, &v) || v.blocks || !v.sleeps ||
		    sys_tgkill(p->pid, (pid_t)tid, SIGTERM) < 0)
			continue;
		reached = !term_look(dirfd(dir), path, &after) || !term_was_dropped(&v, &after);
	}
	(void)closedir(dir);
	return reached;
}
