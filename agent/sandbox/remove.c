/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RemoveContainer as an operation. Called by agent/rpc through sandbox.h, and when the sandbox is
 * destroyed.
 *
 *   queued -> teardown (worker) -> exit statuses -> storages -> dropped
 *                  \ failed -> CONTAINER_STOPPED, so that the host can retry
 *
 * Operations that wait are aborted, the one that runs gets a grace period. Continues even if its
 * caller no longer waits.
 */
#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/launch.h"
#include "agent/sandbox/sandbox_op.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/spec/retain.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"
#include "lib/log_event.h"

struct remove_op {
	/* Must be first. */
	struct sandbox_op base;
	/* The container was being created when this arrived; that may be undone by this operation's
	 * turn. */
	bool was_creating;
	struct teardown teardown;
	/* Aborts the operation that runs before this one. */
	struct timer *grace_timer;
	/* The caller's time limit. */
	struct timer *timeout;
	struct timer *exits;
};

static int remove_start_timers(struct remove_op *op, uint32_t timeout_s, struct error *err);
static enum op_outcome remove_run(struct op *base, struct error *err);
static int remove_work(struct worker *w, void *arg, struct error *err);
static void remove_on_torn_down(struct sandbox_op *base, const struct error *err);
static void remove_release_storages(struct remove_op *op);
static void remove_free(struct op *base);

static const struct op_class remove_class = {
	.name = "remove container",
	.run = remove_run,
	.free = remove_free,
	.stays = true,
	.goes_on = true,
};

enum op_outcome
sandbox_remove_container(struct sandbox *s, const char *id, uint32_t timeout_s, op_done_fn *done,
			 void *data, struct pending **out, struct error *err)
{
	const struct container *c = sandbox_find(s, id);
	struct remove_op *op;
	struct error why = ERROR_INIT;

	if (!c && !op_queue_running(&s->queues, id))
		return error_no_container(err, id);
	op = sandbox_op_new(s, &remove_class, id, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->was_creating = c && c->state == CONTAINER_CREATING;
	if (remove_start_timers(op, timeout_s, err) < 0) {
		remove_free(&op->base.op);
		return OP_FAILED;
	}
	error_set(&why, ERROR_ABORTED, "container %s is being removed", id);
	op_queue_abort_waiting(&s->queues, id, &why);
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static void
remove_on_grace_end(void *data)
{
	struct remove_op *op = data;
	struct op *running = op_queue_running(&op->base.s->queues, op->base.id);
	struct error why = ERROR_INIT;

	op->grace_timer = NULL;
	error_set(&why, ERROR_ABORTED, "container %s is being removed", op->base.id);
	if (running)
		op_abort(running, &why);
}

static void
remove_on_timeout(void *data)
{
	struct remove_op *op = data;
	struct error why = ERROR_INIT;

	op->timeout = NULL;
	error_set(&why, ERROR_DEADLINE_EXCEEDED,
		  "container %s is not removed yet; removal continues (" TEXT_TIMER_EXPIRED ")",
		  op->base.id);
	op_answer(&op->base.op, &why);
}

static int
remove_start_timers(struct remove_op *op, uint32_t timeout_s, struct error *err)
{
	struct loop *loop = op->base.s->parts.loop;

	if (op_queue_running(&op->base.s->queues, op->base.id)) {
		op->grace_timer = loop_timer(loop, GRACE_MS, remove_on_grace_end, op, err);
		if (!op->grace_timer)
			return -1;
	}
	if (timeout_s > 0) {
		op->timeout =
			loop_timer(loop, (uint64_t)timeout_s * 1000, remove_on_timeout, op, err);
		if (!op->timeout)
			return -1;
	}
	return 0;
}

/* Leaves the container's mount namespace to the worker, which unmounts everything in it by its exit
 * (mntns_release.c). */
static void
remove_close_mounts(struct job *job, void *data)
{
	struct remove_op *op = data;

	job_forget_fd(job, op->base.c->ns[NS_MNT]);
	close_fd(&op->base.c->ns[NS_MNT]);
}

/* Keeps the path of a cgroup that stays, for later removals to sweep. */
static int
remove_note_hung(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct remove_op *op = data;
	struct hung_cgroups *hung = &op->base.s->hung;
	char *path = hung->n < HUNG_MAX ? strdup(op->base.c->cgroup_path) : NULL;

	(void)job;
	(void)m;
	if (!path)
		return error_nomem(err, "recording a cgroup that stays");
	hung->path[hung->n++] = path;
	return 0;
}

static int
remove_forget_hung(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct remove_op *op = data;
	struct hung_cgroups *hung = &op->base.s->hung;
	const char *path = m->payload;

	(void)job;
	if (path[m->size - 1] != '\0')
		return error_set(err, ERROR_INTERNAL, "worker sent an invalid path");
	for (size_t i = 0; i < hung->n; i++) {
		if (strcmp(hung->path[i], path) != 0)
			continue;
		free(hung->path[i]);
		hung->path[i] = hung->path[--hung->n];
		break;
	}
	return 0;
}

static const struct job_message_type teardown_messages[] = {
	[TEARDOWN_MSG_HUNG] = { .handler = remove_note_hung,
				.size = 1,
				.size_max = CGROUP_PATH_MAX + 1 },
	[TEARDOWN_MSG_GONE] = { .handler = remove_forget_hung,
				.size = 1,
				.size_max = CGROUP_PATH_MAX + 1 },
};

static const struct sandbox_job teardown_job = {
	.ops = {
		.name = "remove container",
		.work = remove_work,
		.messages = teardown_messages,
		.n_messages = ARRAY_LEN(teardown_messages),
		.started = remove_close_mounts,
	},
	.done = remove_on_torn_down,
	.deadline_ms = REMOVE_MS,
	.flags = JOB_URGENT | JOB_AGAIN,
};

static enum op_outcome
remove_run(struct op *base, struct error *err)
{
	struct remove_op *op = (struct remove_op *)base;
	struct sandbox *s = op->base.s;
	enum container_state before;
	struct error ignored = ERROR_INIT;
	struct sandbox_job job = teardown_job;

	timer_cancel(op->grace_timer);
	op->grace_timer = NULL;
	op->base.c = sandbox_container(s, op->base.id, CONTAINER_CALL_REMOVE, err);
	if (!op->base.c)
		return op->was_creating ? OP_DONE : OP_FAILED;
	before = op->base.c->state;
	op->base.c->state = CONTAINER_REMOVING;
	(void)sandbox_kill_all(s, op->base.c, &ignored);
	container_kill_processes(op->base.c);
	op->teardown = (struct teardown){
		.id = op->base.c->id,
		.roots = s->parts.roots,
		.cgroup_path = op->base.c->cgroup_path,
		.bundle = op->base.c->bundle,
		.hung = &s->hung,
	};
	keep_roots(&op->base.keep, s->parts.roots);
	keep_fd(&op->base.keep, op->base.c->ns[NS_MNT]);
	job.deadline_ms += op->base.c->hooks.stop_ms;
	if (sandbox_op_work(&op->base, &job, err) == OP_PENDING)
		return OP_PENDING;
	op->base.c->state = before;
	return OP_FAILED;
}

static int
remove_work(struct worker *w, void *arg, struct error *err)
{
	struct remove_op *op = arg;
	struct arena arena;

	arena_init(&arena, SPEC_ARENA_MAX);
	op->teardown.spec =
		spec_retain_unpack(op->base.c->kept, op->base.c->kept_size, &arena, err);
	if (!op->teardown.spec)
		return -1;
	return container_teardown(w, &op->teardown, err);
}

static void
remove_on_process_exit(struct container *c, void *data)
{
	if (container_alive(c) == 0)
		remove_release_storages(data);
}

static void
remove_on_exits_late(void *data)
{
	struct remove_op *op = data;
	const struct log_field container = { "container-id", op->base.id };

	op->exits = NULL;
	log_write(LOG_LEVEL_WARN, "sandbox", &container, 1,
		  "container %s: no exit status of %zu processes reported", op->base.id,
		  container_alive(op->base.c));
	remove_release_storages(op);
}

static void
remove_on_torn_down(struct sandbox_op *base, const struct error *err)
{
	struct remove_op *op = (struct remove_op *)base;
	struct container *c = base->c;
	struct error timer_err = ERROR_INIT;

	if (err->code != ERROR_OK) {
		/* The container is kept, so that the host can retry. */
		c->state = CONTAINER_STOPPED;
		op_finish(&op->base.op, err);
		return;
	}
	if (container_alive(c) > 0) {
		c->on_exit = remove_on_process_exit;
		c->data = op;
		op->exits = loop_timer(op->base.s->parts.loop, EXITS_MS, remove_on_exits_late, op,
				       &timer_err);
		if (op->exits)
			return;
	}
	remove_release_storages(op);
}

static void
remove_on_storages_released(const struct error *err, void *data)
{
	struct remove_op *op = data;
	const struct log_field container = { "container-id", op->base.id };

	/* The container is gone regardless, and a host could not act on the failure. */
	if (err->code != ERROR_OK)
		log_warn("sandbox", "container %s: failed to release storages: %s", op->base.id,
			 err->msg);
	log_event(LOG_LEVEL_DEBUG, "sandbox", EVENT_CONTAINER_REMOVED, &container, 1,
		  "container %s removed", op->base.id);
	sandbox_drop(op->base.s, op->base.c);
	op_finish(&op->base.op, NULL);
}

/* Releases the storages. All processes are dead, and their exit statuses known. */
static void
remove_release_storages(struct remove_op *op)
{
	struct error err = ERROR_INIT;

	op->base.c->on_exit = NULL;
	timer_cancel(op->exits);
	op->exits = NULL;
	if (!op->base.c->has_storages ||
	    storages_release_owner(op->base.s->parts.storages, op->base.id,
				   remove_on_storages_released, op, &err) < 0)
		remove_on_storages_released(&err, op);
}

static void
remove_free(struct op *base)
{
	struct remove_op *op = (struct remove_op *)base;

	timer_cancel(op->grace_timer);
	timer_cancel(op->timeout);
	timer_cancel(op->exits);
	sandbox_op_free(base);
}
