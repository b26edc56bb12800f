/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: work that may block, done as straight-line code in a worker process (a fork of the agent
 * and child of init). The agent's side never blocks. A worker sends messages and fds over a
 * SOCK_SEQPACKET pair, announces each step with its undo record before taking it, and ends with a
 * result. If it fails, dies, exceeds its deadline or is cancelled, the journal is undone in another
 * worker, and only then is `done` called.
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
#include "lib/pending.h"

struct initlink;
struct jobs;
struct job;
struct worker;

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

/* Detaches the mount `id` (0: any mount) from the mount point `fd` (O_PATH). */
extern const struct undo_kind undo_umount;
/* Removes the directory or file `name` in the directory `fd` if it is the one that was created; a
 * directory only if it is empty. */
extern const struct undo_kind undo_rmdir, undo_unlink;
/* Sends SIGKILL to the process of the pidfd `fd` and waits for its end. `id` is its pid. */
extern const struct undo_kind undo_kill;

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

/* ---- in the worker (may block) ---- */

/* Does the whole work. Runs in the worker with a copy of the agent's memory as of job_start(); only
 * messages of worker_send() and err come back. Returns 0 or -1. All fds of the agent except
 * job_spec.keep_fds (and 0, 1, 2 = /dev/null) are closed when it is called. Signals have their
 * default actions and are unblocked, but SIGPIPE is ignored: it must be reset before an exec. */
typedef int job_work_fn(struct worker *w, void *arg, struct error *err);

/* Announces a step that is about to be taken. Returns when the agent has it in its journal. Worker
 * only: may block. */
int worker_step(struct worker *w, const struct undo *undo, struct error *err);

/* Reports the outcome of the last announced undo_rmdir or undo_unlink: `made` is what was created,
 * NULL if the name existed already. */
int worker_taken(struct worker *w, const struct stat *made, struct error *err);

/* Creates the directory `name` in dirfd unless it exists; announced first. Returns 1 if created, 0
 * if it existed, -1 and err. Sets *made if it was created (may be NULL). */
int worker_mkdir(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		 struct error *err);

/* Creates the file `name` in dirfd, which must not exist; announced first. Returns its fd, open for
 * writing. EEXIST is reported as ERROR_ALREADY_EXISTS. */
int worker_create(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		  struct error *err);

/* Attaches the detached mount `tree` at the mount point `point` (O_PATH); announced first. `name`
 * is for messages. Sets *id (may be NULL) to the mount's id. */
int worker_mount(struct worker *w, int tree, int point, const char *name, int32_t *id,
		 struct error *err);

/* Sends a message of job_ops.messages, with fds (which remain the caller's). If `wait` is true,
 * blocks until the agent's handler has accepted it, and fails if it was refused. */
int worker_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
		size_t n_fds, bool wait, struct error *err);

/* Appends to the job's output, of which the agent keeps at most job_ops.output_max bytes. */
int worker_output(struct worker *w, const void *data, size_t size, struct error *err);

/* Returns the socket to the agent, so that a child that the worker clones can close it. */
int worker_fd(const struct worker *w);

/* Announces a process that the worker cloned (with CLONE_PARENT) and holds at a gate. The agent
 * registers it with init and passes pid and pidfd (which remains the caller's) to job_ops.process.
 * Returns after that. */
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

/* Runs a helper program (absolute path; argv and env NULL-terminated) as the worker's own child,
 * writes `input` (may be NULL) to its stdin and keeps at most out_size-1 bytes of stdout and stderr
 * (NUL-terminated). Kills it with its process group after timeout_ms. Returns 0 and *status as of
 * waitpid(2), or -1. */
int worker_run(struct worker *w, const char *const argv[], const char *const envp[],
	       const char *input, char *out, size_t out_size, int timeout_ms, int *status,
	       struct error *err);

/* As worker_run() with more options, for any process that may block: needs no worker. */
struct subprocess_spec {
	/* Absolute; NULL: argv[0]. */
	const char *path;
	const char *const *argv, *const *envp;
	const char *input;
	char *out;
	size_t out_size;
	int timeout_ms;
	/* It starts in this cgroup; -1: the caller's. */
	int cgroup_fd;
	/* > 0: its stdout; `out` receives only its stderr then. */
	int stdout_fd;
};
int subprocess_run(const struct subprocess_spec *spec, int *status, struct error *err);

/* ---- in the agent (never blocks) ---- */

/* Maximum size of one message in bytes. */
#define JOB_MESSAGE_MAX (64u << 10)

/* A message of a worker that matches its row. */
struct job_message {
	uint32_t type;
	const void *payload;
	size_t size;
	/* The handler keeps an fd by steal_fd(). The others are closed when it returns. */
	int *fds;
	size_t n_fds;
};

/* Returns 0, or -1 and err to refuse the message, which fails a worker that waits for the reply. */
typedef int job_message_fn(struct job *job, const struct job_message *m, void *data,
			   struct error *err);

/* One type of message. A table of these is indexed by type; a message of another type, size or
 * number of fds ends the job. */
struct job_message_type {
	/* NULL: no message has this type. */
	job_message_fn *handler;
	/* Bytes of the payload: exactly `size`, or from `size` to `size_max` if that is given. */
	size_t size, size_max;
	/* The number of fds, likewise. */
	size_t n_fds, n_fds_max;
};

struct job_ops {
	/* For logs: "create container". */
	const char *name;
	job_work_fn *work;
	/* The messages that the worker may send by worker_send(). NULL: none. */
	const struct job_message_type *messages;
	size_t n_messages;
	/* The bytes that the worker may send by worker_output(), and those that it has to send:
	 * the job fails with fewer or with more. */
	size_t output_min, output_max;
	/* Handles an announced process; takes ownership of pidfd and must call initlink_watch(pid)
	 * now. May be NULL. */
	int (*process)(struct job *job, pid_t pid, int pidfd, void *data, struct error *err);
	/* Called exactly once when the job has ended, never from inside job_start(). err->code is
	 * ERROR_OK, or err says what failed; everything is undone then, or undoing it timed out
	 * after 5 s, which is logged. */
	void (*done)(struct job *job, const struct error *err, void *data);
};

enum job_flags {
	/* May use the two workers reserved for kill and remove. */
	JOB_URGENT = 1 << 0,
	/* The work may be repeated: if its worker is killed or crashes, another one starts over, up
	 * to JOB_AGAIN_MAX times. Such a job journals nothing. */
	JOB_AGAIN = 1 << 1,
	/* The work changes something: once it has begun, it runs to completion even if the wait
	 * for it is cancelled (job_pending()). */
	JOB_GOES_ON = 1 << 2,
};
#define JOB_AGAIN_MAX 16

/* Jobs of one lane run one after the other, in the order in which they were started. All zero:
 * empty. Plain data of its owner; must outlive its jobs, or the pool. */
struct job_lane {
	/* The job that runs, or may run. */
	struct job *turn;
};

struct job_spec {
	const struct job_ops *ops;
	/* For work: memory as of now. Must not change until the job has begun (job_has_begun()),
	 * which may be later than job_start() if it is queued: keep it until done. */
	void *arg;
	/* Frees arg when the job ends, after done; also if job_start() fails. NULL: arg remains the
	 * caller's. */
	void (*free_arg)(void *arg);
	/* For the callbacks. */
	void *data;
	/* The fds that the worker needs, in any order; must stay open until done. */
	const int *keep_fds;
	size_t n_keep_fds;
	/* From its turn in the lane; 0: none. */
	uint64_t deadline_ms;
	/* NULL: it waits for no other job. */
	struct job_lane *lane;
	unsigned int flags;
};

/* Creates the pool: at most 64 workers, two of them reserved for JOB_URGENT; further jobs wait in
 * order. `kinds`, NULL-terminated and owned by the caller, are the kinds of steps of other modules.
 * NULL: none. */
struct jobs *jobs_new(struct loop *loop, struct initlink *link,
		      const struct undo_kind *const *kinds, struct error *err);

/* Kills all workers; `done` is no longer called. Must be called before initlink_free() and
 * loop_free(). jobs may be NULL. */
void jobs_free(struct jobs *jobs);

/* Starts or queues a job. Returns NULL and err only if it cannot even be queued. Log records of
 * the job, by its worker or from inside its callbacks, have the current context of the log
 * (lib/log.h). */
struct job *job_start(struct jobs *jobs, const struct job_spec *spec, struct error *err);

/* Returns the wait for the job's end, for a caller that knows nothing else of the job. After
 * pending_cancel() done is not called; the job is cancelled, or goes on (JOB_GOES_ON). job may be
 * NULL: returns NULL. */
struct pending *job_pending(struct job *job);

/* Returns the output of the worker so far, followed by a NUL, and its size in *n (may be NULL).
 * Valid until done returns. */
const char *job_output(const struct job *job, size_t *n);

/* Cancels a job: kills the worker, waits for its end (up to 5 s: a worker in an uninterruptible
 * wait is then abandoned), undoes its steps, then calls done with `code` and the text, never from
 * inside. Must not be called after done. job may be NULL; has no effect on a job that is cancelled
 * or being undone already. */
void job_cancel(struct job *job, enum error_code code, const char *why);

/* Returns whether the job's worker was started. Until then its arg may be changed. */
bool job_has_begun(const struct job *job);

/* Removes an fd that the caller closes before `done` from keep_fds: a worker that replaces one that
 * died (JOB_AGAIN) does not get it. */
void job_forget_fd(struct job *job, int fd);

/* Returns the number of running workers (for tests and shutdown). */
unsigned int jobs_running(const struct jobs *jobs);
