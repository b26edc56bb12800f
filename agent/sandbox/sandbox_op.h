/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all operations on the sandbox and its containers have in common: whom they are for, the one worker that they have
 * at a time, and the way into their queue. A kind embeds struct sandbox_op as its first member, and names sandbox_op_abort()
 * and sandbox_op_free() in its class unless it has more to do. Loop side: never blocks.
 */
#pragma once

#include "agent/job/job.h"
#include "agent/sandbox/queue.h"
#include "agent/sandbox/sandbox_internal.h"

struct sandbox_op {
	struct op op; /* first */
	struct sandbox *s;
	/* SANDBOX_KEY for those on the sandbox. */
	char *id;
	/* Stays while the operation runs, but for stats; NULL until it is found. */
	struct container *c;
	/* NULL: no worker is at it. */
	struct job *job;
	/* What the worker needs, from when it is the operation's turn. */
	struct keep_fds keep;
	struct job_ops job_ops;
	void (*worked)(struct sandbox_op *op, const struct error *err);
};

/* Returns an operation of `size` bytes, zeroed but for its head; NULL and err when memory is out. */
void *sandbox_op_new(struct sandbox *s, const struct op_class *class, const char *id, size_t size,
		     struct error *err);

/* The `free` of an op_class; a kind that owns more calls it last. */
void sandbox_op_free(struct op *op);

/* The `abort` of an op_class, for those that have a worker whenever they run. */
void sandbox_op_abort(struct op *op, const struct error *why);

/* Takes the operation over, and puts it in the queue of its container. *out is for pending_cancel() if it is OP_PENDING. */
enum op_outcome sandbox_op_submit(struct sandbox_op *op, op_done_fn *done, void *data,
				  struct pending **out, struct error *err);

/* What a worker does for an operation. */
struct sandbox_job {
	/* All but `done`; its functions get the operation as their argument and data. */
	struct job_ops ops;
	/* The worker has ended, and is the operation's no longer. NULL: the operation ends with this error. */
	void (*done)(struct sandbox_op *op, const struct error *err);
	/* 0: none. */
	uint64_t deadline_ms;
	/* JOB_*. */
	unsigned int flags;
};

/* Has a worker do `job` with the fds in op->keep. OP_PENDING, or OP_FAILED and err with nothing begun. */
enum op_outcome sandbox_op_work(struct sandbox_op *op, const struct sandbox_job *job,
				struct error *err);
