/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of all operations on the sandbox and its containers: the target, one worker at a
 * time, and submission to a queue. A kind embeds struct sandbox_op as its first member and names
 * sandbox_op_abort() and sandbox_op_free() in its class unless it has more to do. Loop side: never
 * blocks.
 */
#pragma once

#include "agent/job/job.h"
#include "agent/sandbox/queue.h"
#include "agent/sandbox/sandbox_internal.h"

struct sandbox_op {
	/* Must be first. */
	struct op op;
	struct sandbox *s;
	/* SANDBOX_KEY for operations on the sandbox itself. */
	char *id;
	/* NULL until it is looked up; then valid while the operation runs, except for stats. */
	struct container *c;
	/* NULL: no worker runs. */
	struct job *job;
	/* The fds that the worker keeps, filled in by `run`. */
	struct keep_fds keep;
	struct job_ops job_ops;
	void (*worked)(struct sandbox_op *op, const struct error *err);
};

/* Returns an operation of `size` bytes, zeroed except for its head; NULL and err if out of
 * memory. */
void *sandbox_op_new(struct sandbox *s, const struct op_class *class, const char *id, size_t size,
		     struct error *err);

/* Frees an operation: the `free` of an op_class. A kind that owns more calls it last. */
void sandbox_op_free(struct op *op);

/* Cancels the worker: the `abort` of an op_class, for kinds that always have a worker while they
 * run. */
void sandbox_op_abort(struct op *op, const struct error *why);

/* Takes ownership of the operation and puts it in its queue. Returns the outcome; if it is
 * OP_PENDING, *out is for pending_cancel(). */
enum op_outcome sandbox_op_submit(struct sandbox_op *op, op_done_fn *done, void *data,
				  struct pending **out, struct error *err);

/* The work of a worker for an operation. */
struct sandbox_job {
	/* All members but `done`; the functions get the operation as `arg` and `data`. */
	struct job_ops ops;
	/* Called when the worker has ended and op->job is NULL. NULL: the operation ends with the
	 * error. */
	void (*done)(struct sandbox_op *op, const struct error *err);
	/* In milliseconds; 0: none. */
	uint64_t deadline_ms;
	/* JOB_*. */
	unsigned int flags;
};

/* Starts a worker that does `job` and keeps the fds in op->keep. Returns OP_PENDING; or OP_FAILED
 * and err, with nothing started. */
enum op_outcome sandbox_op_work(struct sandbox_op *op, const struct sandbox_job *job,
				struct error *err);
