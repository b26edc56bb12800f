/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: work that may block, done as straight-line code in a worker process (a fork of the agent
 * and child of init). A worker sends messages and fds over a SOCK_SEQPACKET pair, announces each
 * step with its undo record before taking it, and ends with a result. If it fails, dies, exceeds
 * its deadline or is cancelled, the journal is undone in another worker, and only then is `done`
 * called.
 *
 * This is the agent's side, which never blocks; worker.h is the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/job/worker.h"
#include "lib/buf.h"
#include "lib/error.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct initlink;
struct jobs;
struct job;

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
	/* Called when a worker has its copies of keep_fds, before it begins: the place to close
	 * those of which it shall hold the last ones (job_forget_fd()). May be NULL. */
	void (*started)(struct job *job, void *data);
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

/* Moves the output to *out, which the caller releases. A NUL follows it unless it is empty. */
void job_take_output(struct job *job, struct buf *out);

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
