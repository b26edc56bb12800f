/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: work that may block, done in a worker process (a fork of the agent, child of init) as
 * straight-line code. The agent side here never blocks. A worker reports messages and fds over a
 * SOCK_SEQPACKET pair, announces each step with its undo record before taking it, and ends with a
 * result. If it fails, dies, overruns its deadline or is cancelled, the journal is undone in
 * another worker, and only then is `done` called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/log.h"
#include "lib/loop.h"

struct initlink;
struct jobs;
struct job;
struct worker;

/* What is known of a step that makes something. */
enum step_result {
	/* the worker has said nothing more */
	STEP_UNKNOWN,
	/* dev and ino are what was made */
	STEP_TAKEN,
	/* there was something of that name */
	STEP_NOT_TAKEN,
};

/* A step as the agent keeps it. */
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

/* How a step is taken back: through a file descriptor that was opened when the step was taken. A
 * name is looked up only in a directory that is held, so that a container that renames what lies
 * above it redirects nothing. A module that takes steps of its own defines their kind, and
 * jobs_new() is given all of them. */
struct undo_kind {
	/* For messages: "remove cgroup". */
	const char *name;
	/* Takes the step back. What is gone already is success, since a worker that was killed
	 * may have done it. Worker only: may block, for two seconds at most. */
	int (*undo)(const struct step *step, struct error *err);
};

/* Detaches the mount `id`, 0: whichever is there, from the mount point `fd` (O_PATH). */
extern const struct undo_kind undo_umount;
/* Removes the directory or file `name` of the directory `fd`, if it is the one that was made; a
 * directory only if it is empty. */
extern const struct undo_kind undo_rmdir, undo_unlink;
/* Sends SIGKILL to the process of the pidfd `fd` and waits until it is gone. `id` is its pid. */
extern const struct undo_kind undo_kill;

/* How long an undo_kind waits for processes. */
#define UNDO_WAIT_MS 2000

/* What worker_step() announces. */
struct undo {
	const struct undo_kind *kind;
	/* Stays the caller's, the agent keeps a duplicate. */
	int fd;
	int32_t id;
	/* Also for messages. NULL: none. */
	const char *name;
};

/* ---- in the worker (may block) ---- */

/* The whole work. Runs in the worker with a copy of the agent's memory as of job_start(); only
 * what worker_send() sends, and err, come back. Returns 0 or -1. All fds of the agent but those
 * in job_spec.keep_fds (and 0,1,2 = /dev/null) are closed when it is called. Signals have their
 * default actions and none is blocked, but SIGPIPE is ignored: what is to exec resets it. */
typedef int job_work_fn(struct worker *w, void *arg, struct error *err);

/* Announces a step that is about to be taken. Returns when the agent has it in its journal.
 * Worker only: may block. */
int worker_step(struct worker *w, const struct undo *undo, struct error *err);

/* Tells what became of the undo_rmdir or undo_unlink that was announced last: what `made`
 * describes was made, or (NULL) nothing, because there was something of that name. */
int worker_taken(struct worker *w, const struct stat *made, struct error *err);

/* Makes the directory `name` of dirfd unless it is there, announced first. 1 made, 0 it was
 * there, -1 and err. `made` is filled if it was made (may be NULL). */
int worker_mkdir(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		 struct error *err);

/* Makes the file `name` of dirfd, which must not exist, announced first: its fd, open for
 * writing. EEXIST is reported as ERROR_ALREADY_EXISTS. */
int worker_create(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		  struct error *err);

/* Attaches the detached mount `tree` at the mount point `point` (O_PATH), announced first.
 * `name` is for messages. *id (may be NULL) is the mount's. */
int worker_mount(struct worker *w, int tree, int point, const char *name, int32_t *id,
		 struct error *err);

/* Sends a message of job_ops.messages, with fds (which stay the caller's). If `wait` is true,
 * blocks until the agent's handler has accepted it, and fails if it was refused. */
int worker_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
		size_t n_fds, bool wait, struct error *err);

/* The socket to the agent, so that a child that the worker clones can close it. */
int worker_fd(const struct worker *w);

/* Tells the agent about a process that the worker cloned (with CLONE_PARENT) and holds at a
 * gate: the agent registers it with init and hands pid and pidfd (stays the caller's) to
 * job_ops.process; returns once done. */
int worker_process(struct worker *w, pid_t pid, int pidfd, struct error *err);

/* A line in the agent's log, under the job's name and with the keys of the call that the job was
 * started for: what is worth telling but does not fail the job. Records that the worker gives to
 * log_write() itself go nowhere. */
void worker_log(struct worker *w, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a record that programs look for: see log_event(). At most WORKER_FIELDS_MAX
 * fields; those that do not fit in the message to the agent are left out. */
#define WORKER_FIELDS_MAX 4
void worker_event(struct worker *w, enum log_level level, const char *event,
		  const struct log_field *fields, size_t n_fields, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Runs a helper program (absolute path, argv, env NULL-terminated) as the worker's own child,
 * feeding `input` (may be NULL) to its stdin and keeping at most out_size-1 bytes of
 * stdout+stderr (NUL-ended). Killed with its process group after timeout_ms. 0 and *status as of
 * waitpid(2), or -1. */
int worker_run(struct worker *w, const char *const argv[], const char *const envp[],
	       const char *input, char *out, size_t out_size, int timeout_ms, int *status,
	       struct error *err);

/* The same with more to choose, and for any process that may block: nothing of a worker is
 * needed. */
struct subprocess_spec {
	/* absolute; NULL: argv[0] */
	const char *path;
	const char *const *argv, *const *envp;
	const char *input;
	char *out;
	size_t out_size;
	int timeout_ms;
	/* it begins in this cgroup; -1: the caller's */
	int cgroup_fd;
	/* > 0: its stdout, and `out` gets only what it writes to stderr */
	int stdout_fd;
};
int subprocess_run(const struct subprocess_spec *spec, int *status, struct error *err);

/* ---- in the agent (never blocks) ---- */

/* Bytes of one message at most. */
#define JOB_MESSAGE_MAX (64u << 10)

/* A message of a worker that agrees with its row. */
struct job_message {
	uint32_t type;
	const void *payload;
	size_t size;
	/* The handler keeps an fd by steal_fd(). The others are closed when it returns. */
	int *fds;
	size_t n_fds;
};

/* Returns 0, or -1 and err to refuse the message, which fails a worker that waits for the
 * answer. */
typedef int job_message_fn(struct job *job, const struct job_message *m, void *data,
			   struct error *err);

/* One type of message. A table of these is indexed by type; a message of another type, size or
 * number of fds ends the job. */
struct job_message_type {
	/* NULL: there is no message of this type. */
	job_message_fn *handler;
	/* Bytes of the payload: exactly `size`, or from `size` to `size_max` if that is given. */
	size_t size, size_max;
	/* The same for its fds. */
	size_t n_fds, n_fds_max;
};

struct job_ops {
	/* for logs: "create container" */
	const char *name;
	job_work_fn *work;
	/* What the worker may send by worker_send(). NULL: nothing. */
	const struct job_message_type *messages;
	size_t n_messages;
	/* A process was announced; pidfd belongs to the callee, who must initlink_watch(pid)
	 * now. May be NULL. */
	int (*process)(struct job *job, pid_t pid, int pidfd, void *data, struct error *err);
	/* The job has ended: err->code is ERROR_OK, or what failed, everything undone, or what
	 * is left given up after 5 s and logged. Called exactly once, never from inside
	 * job_start(). */
	void (*done)(struct job *job, const struct error *err, void *data);
};

enum job_flags {
	/* May use the two workers kept for kill and remove. */
	JOB_URGENT = 1 << 0,
	/* The work may be repeated: if its worker is killed or crashes, another one begins anew,
	 * up to JOB_AGAIN_MAX times. Such a job journals nothing. */
	JOB_AGAIN = 1 << 1,
};
#define JOB_AGAIN_MAX 16

/* Jobs of one lane run one after the other, in the order in which they were started. All zero:
 * nothing is in it. Plain data of its owner, which outlives the jobs, or the pool. */
struct job_lane {
	/* the one that runs, or may */
	struct job *turn;
};

struct job_spec {
	const struct job_ops *ops;
	/* for work: memory as of now; must stay unchanged until job_start returns or, if the job is
	 * queued for lack of workers, until it starts: own it until done */
	void *arg;
	/* for the callbacks */
	void *data;
	/* fds the worker needs, in any order; must stay open until done */
	const int *keep_fds;
	size_t n_keep_fds;
	/* from its turn in the lane; 0: none */
	uint64_t deadline_ms;
	/* NULL: it waits for no other job */
	struct job_lane *lane;
	unsigned int flags;
};

/* The pool: at most 64 workers, two of them kept for JOB_URGENT; more jobs wait in order.
 * `kinds`, which ends with NULL and stays the caller's, are the kinds of steps that other
 * modules define. NULL: none. */
struct jobs *jobs_new(struct loop *loop, struct initlink *link,
		      const struct undo_kind *const *kinds, struct error *err);

/* Kills what runs; no `done` is called any more. Before initlink_free() and loop_free(). NULL is
 * allowed. */
void jobs_free(struct jobs *jobs);

/* NULL and err only if the job cannot even be queued. Records that are written for the job, by
 * its worker, or from inside its callbacks, have the present context of the log (lib/log.h). */
struct job *job_start(struct jobs *jobs, const struct job_spec *spec, struct error *err);

/* Kills the worker, waits for its end (5 s at most: one in an uninterruptible wait is then left
 * to itself), then undo, then done with `code` and the text; done is never called from inside.
 * Not after done. NULL is allowed; a second cancel, or one while the job is being undone,
 * changes nothing. */
void job_cancel(struct job *job, enum error_code code, const char *why);

/* Tells whether the job's worker was started. Until then its arg may be changed. */
bool job_has_begun(const struct job *job);

/* The caller closes this fd of keep_fds before `done`: a worker that takes the place of one that
 * died (JOB_AGAIN) goes without it. */
void job_forget_fd(struct job *job, int fd);

/* Workers running now (for tests and shutdown). */
unsigned int jobs_running(const struct jobs *jobs);
