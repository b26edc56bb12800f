/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StartContainer as an operation: opens the gate immediately or, if there are hooks to run around
 * that, in a worker. Called by agent/rpc through sandbox.h. A hook that fails ends the container.
 */
#include "agent/container/launch/launch.h"
#include "agent/sandbox/sandbox_op.h"

#include "agent/container/spec/retain.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct start_op {
	/* Must be first. */
	struct sandbox_op base;
	struct launch_start start;
};

static enum op_outcome start_run(struct op *base, struct error *err);
static int start_work(struct worker *w, void *arg, struct error *err);
static void start_on_done(struct sandbox_op *op, const struct error *err);

static const struct op_class start_class = {
	.name = "start container",
	.run = start_run,
	.abort = sandbox_op_abort,
	.free = sandbox_op_free,
};

enum op_outcome
sandbox_start_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			struct pending **out, struct error *err)
{
	struct start_op *op = sandbox_op_new(s, &start_class, id, sizeof(*op), err);

	return op ? sandbox_op_submit(&op->base, done, data, out, err) : OP_FAILED;
}

static const struct sandbox_job start_job = {
	.ops = { .name = "start container", .work = start_work },
	.done = start_on_done,
};

static enum op_outcome
start_run(struct op *base, struct error *err)
{
	struct start_op *op = (struct start_op *)base;
	struct container *c = sandbox_container(op->base.s, op->base.id, CONTAINER_CALL_START, err);
	struct sandbox_job job = start_job;

	if (!c)
		return OP_FAILED;
	if (!c->hooks.start_ms)
		return container_start(c, err) < 0 ? OP_FAILED : OP_DONE;
	op->base.c = c;
	op->start = (struct launch_start){
		.id = c->id,
		.bundle = c->bundle,
		.roots = op->base.s->parts.roots,
		.pid = c->init_pid,
		.gate = c->gate,
	};
	keep_roots(&op->base.keep, op->base.s->parts.roots);
	keep_fd(&op->base.keep, c->gate);
	job.deadline_ms = op->base.s->parts.create_timeout_ms + c->hooks.start_ms;
	return sandbox_op_work(&op->base, &job, err);
}

static int
start_work(struct worker *w, void *arg, struct error *err)
{
	struct start_op *op = arg;
	struct arena arena;

	arena_init(&arena, SPEC_ARENA_MAX);
	op->start.spec = spec_retain_unpack(op->base.c->kept, op->base.c->kept_size, &arena, err);
	if (!op->start.spec)
		return -1;
	return container_start_with_hooks(w, &op->start, err);
}

static void
start_on_done(struct sandbox_op *op, const struct error *err)
{
	struct error ignored = ERROR_INIT;

	close_fd(&op->c->gate);
	if (err->code == ERROR_OK) {
		container_started(op->c);
	} else {
		(void)sandbox_kill_all(op->s, op->c, &ignored);
		container_kill_processes(op->c);
	}
	op_finish(&op->op, err->code == ERROR_OK ? NULL : err);
}
