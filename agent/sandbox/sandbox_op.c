/* SPDX-License-Identifier: Apache-2.0 */
/* See sandbox_op.h. */
#include "agent/sandbox/sandbox_op.h"

#include <stdlib.h>
#include <string.h>

void *
sandbox_op_new(struct sandbox *s, const struct op_class *class, const char *id, size_t size,
	       struct error *err)
{
	struct sandbox_op *op = calloc(1, size);

	if (op)
		op->id = strdup(id);
	if (!op || !op->id) {
		free(op);
		error_nomem(err, "queueing an operation");
		return NULL;
	}
	op->op.class = class;
	op->s = s;
	return op;
}

void
sandbox_op_free(struct op *base)
{
	struct sandbox_op *op = (struct sandbox_op *)base;

	free(op->id);
	free(op);
}

void
sandbox_op_abort(struct op *base, const struct error *why)
{
	struct sandbox_op *op = (struct sandbox_op *)base;

	job_cancel(op->job, why->code, why->msg);
}

enum op_outcome
sandbox_op_submit(struct sandbox_op *op, op_done_fn *done, void *data, struct pending **out,
		  struct error *err)
{
	*out = &op->op.pending;
	return op_submit(&op->s->queues, op->id, &op->op, done, data, err);
}

/* The `done` of every operation's job. */
static void
sandbox_op_worked(struct job *job, const struct error *err, void *data)
{
	struct sandbox_op *op = data;

	(void)job;
	op->job = NULL;
	if (op->worked)
		op->worked(op, err);
	else
		op_finish(&op->op, err);
}

enum op_outcome
sandbox_op_work(struct sandbox_op *op, const struct sandbox_job *job, struct error *err)
{
	const struct job_spec spec = {
		.ops = &op->job_ops,
		.arg = op,
		.data = op,
		.keep_fds = op->keep.fd,
		.n_keep_fds = op->keep.n,
		.deadline_ms = job->deadline_ms,
		.flags = job->flags,
	};

	op->job_ops = job->ops;
	op->job_ops.done = sandbox_op_worked;
	op->worked = job->done;
	op->job = job_start(op->s->parts.jobs, &spec, err);
	return op->job ? OP_PENDING : OP_FAILED;
}
