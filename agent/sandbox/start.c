/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StartContainer as an operation: the gate is opened at once or, if there are hooks around that, by a worker. Called by
 * agent/rpc through sandbox.h. A start that fails in a hook ends the container.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <stdlib.h>

#include "agent/container/spec/retain.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct start_op {
	struct op op; /* first */
	struct sandbox *s;
	const char *id;
	struct container *c; /* stays while this runs */
	struct job *job;
	struct launch_start start;
	struct keep_fds keep;
};

static struct start_op *
start_of(struct op *op)
{
	return (struct start_op *)op;
}

static int
start_work(struct worker *w, void *arg, struct error *err)
{
	struct start_op *op = arg;
	struct arena arena;

	arena_init(&arena, SPEC_ARENA_MAX);
	op->start.spec = kept_unpack(op->c->kept, op->c->kept_size, &arena, err);
	if (!op->start.spec)
		return -1;
	return container_start_with_hooks(w, &op->start, err);
}

static void
on_start_done(struct job *job, const struct error *err, void *data)
{
	struct start_op *op = data;
	struct error ignored = ERROR_INIT;

	(void)job;
	op->job = NULL;
	close_fd(&op->c->gate);
	if (err->code == ERROR_OK) {
		container_started(op->c);
	} else {
		(void)sandbox_kill_all(op->s, op->c, &ignored);
		container_kill_processes(op->c);
	}
	op_finish(&op->op, err->code == ERROR_OK ? NULL : err);
}

static const struct job_ops start_job = {
	.name = "start container",
	.work = start_work,
	.done = on_start_done,
};

static enum op_outcome
start_run(struct op *base, struct error *err)
{
	struct start_op *op = start_of(base);
	struct container *c = sandbox_container(op->s, op->id, CONTAINER_CALL_START, err);
	struct job_spec job = {
		.ops = &start_job,
		.arg = op,
		.data = op,
		.keep_fds = op->keep.fd,
	};

	if (!c)
		return OP_FAILED;
	if (!c->hooks.start_ms)
		return container_start(c, err) < 0 ? OP_FAILED : OP_DONE;
	op->c = c;
	op->start = (struct launch_start){
		.id = c->id,
		.bundle = c->bundle,
		.roots = op->s->parts.roots,
		.pid = c->init_pid,
		.gate = c->gate,
	};
	keep_roots(&op->keep, op->s->parts.roots);
	keep_fd(&op->keep, c->gate);
	job.n_keep_fds = op->keep.n;
	job.deadline_ms = op->s->parts.create_timeout_ms + c->hooks.start_ms;
	op->job = job_start(op->s->parts.jobs, &job, err);
	return op->job ? OP_PENDING : OP_FAILED;
}

static void
start_cancel(struct op *base, const struct error *why)
{
	job_cancel(start_of(base)->job, why->code, why->msg);
}

static void
start_free(struct op *base)
{
	free(base);
}

static const struct op_class start_class = {
	.name = "start container",
	.run = start_run,
	.cancel = start_cancel,
	.free = start_free,
};

enum op_outcome
sandbox_start_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			struct op **out, struct error *err)
{
	struct start_op *op = calloc(1, sizeof(*op));

	if (!op)
		return error_nomem(err, start_class.name);
	op->op.class = &start_class;
	op->s = s;
	op->id = id;
	*out = &op->op;
	return op_submit(&s->queues, id, &op->op, done, data, err);
}
