/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs (job.h), the worker's side: the work of a job is straight-line code that may block. It
 * announces what it is about to change, and sends messages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/log.h"

struct worker;

/* Does the whole work. Runs in the worker with a copy of the agent's memory as of job_start(); only
 * messages of worker_send() and err come back. Returns 0 or -1. All fds of the agent except
 * job_spec.keep_fds (and 0, 1, 2 = /dev/null) are closed when it is called. Signals have their
 * default actions and are unblocked, but SIGPIPE is ignored: it must be reset before an exec. */
typedef int job_work_fn(struct worker *w, void *arg, struct error *err);

/* ---- steps ---- */

/* The known outcome of a step that creates something. */
enum step_result {
	/* The worker has not reported it. */
	STEP_UNKNOWN,
	/* dev and ino identify what was created. */
	STEP_TAKEN,
	/* The name existed already. */
	STEP_NOT_TAKEN,
};

/* A step in the agent's journal. */
struct step {
	const struct undo_kind *kind;
	enum step_result result;
	int32_t id;
	int fd;
	dev_t dev;
	ino_t ino;
	/* "": none */
	char *name;
};

/* A kind of step and its undo, which works through a file descriptor opened when the step was
 * taken. Names are only looked up in a directory held open, so that a container that renames a
 * parent directory redirects nothing. A module with steps of its own defines their kinds, and
 * jobs_new() receives all of them. */
struct undo_kind {
	/* For messages: "remove cgroup". */
	const char *name;
	/* Undoes the step. Succeeds if there is nothing left to undo, since a worker that was
	 * killed may have undone it. Worker only: may block for up to 2 s. */
	int (*undo)(const struct step *step, struct error *err);
};

/* Limit of the time that an undo_kind waits for processes. */
#define UNDO_WAIT_MS 2000

/* The argument of worker_step(). */
struct undo {
	const struct undo_kind *kind;
	/* Remains the caller's; the agent keeps a duplicate. */
	int fd;
	int32_t id;
	/* Also used in messages. NULL: none. */
	const char *name;
};

/* Announces a step that is about to be taken. Returns when the agent has it in its journal. Worker
 * only: may block. */
int worker_step(struct worker *w, const struct undo *undo, struct error *err);

/* Announces a step without waiting. The step may be taken after worker_settle(); several steps that
 * are announced together cost one answer's time. Returns the number of the step, or -1 and err. */
int worker_announce(struct worker *w, const struct undo *undo, struct error *err);

/* Returns when the agent has all announced steps in its journal: 0, or -1 and err if it refused.
 * Worker only: may block. */
int worker_settle(struct worker *w, struct error *err);

/* Reports the outcome of the last announced undo_rmdir or undo_unlink: `made` is what was created,
 * NULL if the name existed already. */
int worker_taken(struct worker *w, const struct stat *made, struct error *err);

/* Does the same for the step of this number; NULL also if it will not be taken. */
int worker_step_taken(struct worker *w, int step, const struct stat *made, struct error *err);

/* ---- messages ---- */

/* Maximum size of one message in bytes. */
#define JOB_MESSAGE_MAX (64u << 10)

/* Sends a message of job_ops.messages, with fds (which remain the caller's). If `wait` is true,
 * blocks until the agent's handler has accepted it, and fails if it was refused. */
int worker_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
		size_t n_fds, bool wait, struct error *err);

/* Sends a message like worker_send(), which the agent's handler must accept, without waiting for
 * that: if it was refused, the next message that waits fails, or in the end the job, whose steps
 * are then undone. */
int worker_report(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
		  size_t n_fds, struct error *err);

/* Appends to the job's output, of which the agent keeps at most job_ops.output_max bytes. */
int worker_output(struct worker *w, const void *data, size_t size, struct error *err);

/* Holds messages back that need no answer, up to WORKER_HELD_MAX of them, until worker_flush() or
 * the next message of another kind, so that the agent wakes up once for all of them. Not for
 * messages that the agent needs before work that may take long. */
#define WORKER_HELD_MAX 8
void worker_hold(struct worker *w);

/* Sends what was held back, and holds nothing back from now on. Returns 0, or -1 and err. */
int worker_flush(struct worker *w, struct error *err);

/* Returns the socket to the agent, so that a child that the worker clones can close it. */
int worker_fd(const struct worker *w);

/* Announces a process that the worker cloned (with CLONE_PARENT) and holds at a gate. The agent
 * adds an undo_kill of it to the journal, registers it with init and passes pid and pidfd (which
 * remains the caller's) to job_ops.process. Returns after that. */
int worker_process(struct worker *w, pid_t pid, int pidfd, struct error *err);

/* Writes a line to the agent's log, under the job's name and with the fields of the call that
 * started the job, for conditions that do not fail the job. Records that the worker gives to
 * log_write() itself are dropped. */
void worker_log(struct worker *w, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As worker_log(), for a record that programs look for: see log_event(). At most WORKER_FIELDS_MAX
 * fields; those that do not fit in the message to the agent are left out. */
#define WORKER_FIELDS_MAX 4
void worker_event(struct worker *w, enum log_level level, const char *event,
		  const struct log_field *fields, size_t n_fields, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* ---- for worker_proc.c ---- */

struct worker_start {
	/* The worker's end. */
	int sock;
	/* Becomes 0, 1 and 2. */
	int dev_null;
	/* The kinds of steps, NULL-terminated. */
	const struct undo_kind *const *kinds;
	/* Each > 2, including sock. */
	const int *keep;
	size_t n_keep;
	job_work_fn *work;
	void *arg;
};

/* Runs in the child: closes all other fds, waits at the gate, works, reports, exits. */
_Noreturn void worker_enter(const struct worker_start *start);
