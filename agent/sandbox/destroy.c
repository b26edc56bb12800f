/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DestroySandbox as an operation. Called by agent/rpc through sandbox.h.
 *
 *   queued -> CONTAINERS -> STORAGES -> FILES (worker) -> done
 *
 * All containers are removed concurrently. Each step has a time limit, and a failed step does not
 * stop the next one, since the VM is about to end.
 */
#include "agent/sandbox/sandbox_op.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

enum destroy_phase {
	DESTROY_CONTAINERS,
	DESTROY_STORAGES,
	DESTROY_FILES,
};

struct destroy_op {
	/* Must be first. */
	struct sandbox_op base;
	enum destroy_phase phase;
	/* Containers being removed. */
	size_t pending;
	struct timer *limit;
	struct setup_work work;
};

static enum op_outcome destroy_run(struct op *base, struct error *err);
static void destroy_remove_containers(struct destroy_op *op);
static void destroy_on_containers_late(void *data);
static enum op_outcome destroy_release_storages(struct destroy_op *op);
static enum op_outcome destroy_clean_files(struct destroy_op *op);
static void destroy_free(struct op *base);

static void
destroy_continue(struct destroy_op *op, enum op_outcome outcome)
{
	if (outcome == OP_DONE)
		op_finish(&op->base.op, NULL);
}

static const struct op_class destroy_class = {
	.name = "destroy sandbox",
	.run = destroy_run,
	.free = destroy_free,
	.stays = true,
	.goes_on = true,
};

enum op_outcome
sandbox_destroy(struct sandbox *s, op_done_fn *done, void *data, struct pending **out,
		struct error *err)
{
	struct destroy_op *op;
	struct op *running = op_queue_running(&s->queues, SANDBOX_KEY);
	struct error why = ERROR_INIT;

	if (s->state == SANDBOX_DESTROYED)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the sandbox has already been destroyed");
	op = sandbox_op_new(s, &destroy_class, SANDBOX_KEY, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	s->state = SANDBOX_DESTROYED;
	error_set(&why, ERROR_INTERNAL, "the sandbox is being destroyed");
	oom_end(&s->oom, &why);
	error_set(&why, ERROR_ABORTED, "the sandbox is being destroyed");
	op_queue_abort_waiting(&s->queues, SANDBOX_KEY, &why);
	if (running)
		op_abort(running, &why);
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static enum op_outcome
destroy_run(struct op *base, struct error *err)
{
	struct destroy_op *op = (struct destroy_op *)base;
	struct sandbox *s = op->base.s;

	s->destroy = op;
	op->limit = loop_timer(s->parts.loop, DESTROY_MS, destroy_on_containers_late, op, err);
	if (!op->limit)
		log_warn("sandbox", "destroying the sandbox without a time limit: %s", err->msg);
	destroy_remove_containers(op);
	return op->pending > 0 ? OP_PENDING : destroy_release_storages(op);
}

static void
destroy_on_container_removed(const struct error *err, void *data)
{
	struct sandbox *s = data;

	/* A container that the host was already removing is gone when this removal's turn comes. */
	if (err->code != ERROR_OK && err->code != ERROR_INVALID_ARGUMENT)
		log_warn("sandbox", "failed to remove a container of the sandbox: %s", err->msg);
	if (!s->destroy || s->destroy->phase != DESTROY_CONTAINERS)
		return;
	if (--s->destroy->pending == 0)
		destroy_continue(s->destroy, destroy_release_storages(s->destroy));
}

static void
destroy_remove_containers(struct destroy_op *op)
{
	struct sandbox *s = op->base.s;
	struct list *pos, *next;

	list_for_each_safe (pos, next, &s->containers) {
		struct container *c = list_entry(pos, struct container, node);
		struct error err = ERROR_INIT;
		struct pending *removal;

		switch (sandbox_remove_container(s, c->id, 0, destroy_on_container_removed, s,
						 &removal, &err)) {
		case OP_PENDING:
			op->pending++;
			break;
		case OP_FAILED:
			log_warn("sandbox", "failed to remove a container of the sandbox: %s",
				 err.msg);
			break;
		case OP_DONE:
			break;
		}
	}
}

static void
destroy_on_containers_late(void *data)
{
	struct destroy_op *op = data;

	op->limit = NULL;
	log_warn("sandbox", "removing %zu containers timed out", op->pending);
	destroy_continue(op, destroy_release_storages(op));
}

/* May be called after the operation has ended, so `data` is the sandbox. */
static void
destroy_on_storages_released(const struct error *err, void *data)
{
	struct sandbox *s = data;

	if (err->code != ERROR_OK)
		log_warn("sandbox", "failed to release the sandbox's storages: %s", err->msg);
	if (s->destroy && s->destroy->phase == DESTROY_STORAGES)
		destroy_continue(s->destroy, destroy_clean_files(s->destroy));
}

static void
destroy_on_storages_late(void *data)
{
	struct destroy_op *op = data;

	op->limit = NULL;
	log_warn("sandbox", "releasing the sandbox's storages timed out");
	destroy_continue(op, destroy_clean_files(op));
}

static enum op_outcome
destroy_release_storages(struct destroy_op *op)
{
	struct sandbox *s = op->base.s;
	struct error err = ERROR_INIT;

	op->phase = DESTROY_STORAGES;
	timer_cancel(op->limit);
	op->limit =
		loop_timer(s->parts.loop, DESTROY_RELEASE_MS, destroy_on_storages_late, op, &err);
	if (op->limit && storages_release_owner(s->parts.storages, "", destroy_on_storages_released,
						s, &err) == 0)
		return OP_PENDING;
	log_warn("sandbox", "failed to release the sandbox's storages: %s", err.msg);
	return destroy_clean_files(op);
}

static int
destroy_files_work(struct worker *w, void *arg, struct error *err)
{
	return setup_work_last(w, &((const struct destroy_op *)arg)->work, err);
}

static void
destroy_on_files_done(struct sandbox_op *op, const struct error *err)
{
	if (err->code != ERROR_OK)
		log_warn("sandbox", "failed to clean up the sandbox's files: %s", err->msg);
	op_finish(&op->op, NULL);
}

static const struct sandbox_job files_job = {
	.ops = { .name = "destroy sandbox", .work = destroy_files_work },
	.done = destroy_on_files_done,
	.deadline_ms = DESTROY_RELEASE_MS,
	.flags = JOB_URGENT | JOB_AGAIN,
};

/* Starts the worker that cleans up the files. OP_DONE: it could not be started, and nothing is left
 * to wait for. */
static enum op_outcome
destroy_clean_files(struct destroy_op *op)
{
	struct sandbox *s = op->base.s;
	struct error err = ERROR_INIT;

	op->phase = DESTROY_FILES;
	timer_cancel(op->limit);
	op->limit = NULL;
	op->work = (struct setup_work){ .roots = s->parts.roots, .names = s->names };
	keep_roots(&op->base.keep, s->parts.roots);
	for (size_t i = 0; i < s->names.n; i++)
		keep_fd(&op->base.keep, s->names.point[i]);
	if (sandbox_op_work(&op->base, &files_job, &err) == OP_PENDING)
		return OP_PENDING;
	log_warn("sandbox", "failed to clean up the sandbox's files: %s", err.msg);
	return OP_DONE;
}

static void
destroy_free(struct op *base)
{
	struct destroy_op *op = (struct destroy_op *)base;

	if (op->base.s->destroy == op)
		op->base.s->destroy = NULL;
	timer_cancel(op->limit);
	sandbox_op_free(base);
}
