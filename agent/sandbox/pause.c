/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PauseContainer and ResumeContainer as operations: a worker freezes or thaws the container and
 * waits until that is done. Called by agent/rpc through sandbox.h. A pause that fails leaves the
 * container running. Signals are independent of both.
 */
#include "agent/sandbox/sandbox_op.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup/freeze.h"
#include "lib/io.h"
#include "lib/log.h"

/* A freeze that takes longer has a process that waits for a disk or a share. */
#define FREEZE_MS     4000
#define FREEZE_JOB_MS 8000

struct pause_op {
	/* Must be first. */
	struct sandbox_op base;
	bool freeze;
};

static enum op_outcome pause_submit(struct sandbox *s, const char *id, bool freeze,
				    op_done_fn *done, void *data, struct pending **out,
				    struct error *err);
static enum op_outcome pause_run(struct op *base, struct error *err);
static int pause_work(struct worker *w, void *arg, struct error *err);
static void pause_on_done(struct sandbox_op *base, const struct error *err);

enum op_outcome
sandbox_pause_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			struct pending **out, struct error *err)
{
	return pause_submit(s, id, true, done, data, out, err);
}

/* Cannot be aborted: its wait is bounded, and a half-frozen container would be worse. */
static const struct op_class pause_class = {
	.name = "pause container",
	.run = pause_run,
	.free = sandbox_op_free,
	.goes_on = true,
};

static const struct op_class resume_class = {
	.name = "resume container",
	.run = pause_run,
	.free = sandbox_op_free,
	.goes_on = true,
};

static enum op_outcome
pause_submit(struct sandbox *s, const char *id, bool freeze, op_done_fn *done, void *data,
	     struct pending **out, struct error *err)
{
	struct pause_op *op;

	if (!sandbox_find(s, id))
		return error_no_container(err, id);
	op = sandbox_op_new(s, freeze ? &pause_class : &resume_class, id, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->freeze = freeze;
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static const struct sandbox_job pause_job = {
	.ops = { .name = "pause container", .work = pause_work },
	.done = pause_on_done,
	.deadline_ms = FREEZE_JOB_MS,
};

static enum op_outcome
pause_run(struct op *base, struct error *err)
{
	struct pause_op *op = (struct pause_op *)base;
	const struct roots *roots = op->base.s->parts.roots;

	op->base.c =
		sandbox_container(op->base.s, op->base.id,
				  op->freeze ? CONTAINER_CALL_PAUSE : CONTAINER_CALL_RESUME, err);
	if (!op->base.c)
		return OP_FAILED;
	if (roots->cgroup < 0) {
		error_set(err, ERROR_FAILED_PRECONDITION,
			  "container %s cannot be paused: the guest has no cgroups", op->base.id);
		return OP_FAILED;
	}
	keep_fd(&op->base.keep, roots->cgroup);
	return sandbox_op_work(&op->base, &pause_job, err);
}

static int
pause_work(struct worker *w, void *arg, struct error *err)
{
	struct pause_op *op = arg;
	int root = op->base.s->parts.roots->cgroup;

	(void)w;
	return op->freeze ? cgroup_freeze(root, op->base.c->cgroup_path, FREEZE_MS, err)
			  : cgroup_thaw(root, op->base.c->cgroup_path, FREEZE_MS, err);
}

/* Thaws the container without waiting for it. */
static void
pause_thaw(const struct pause_op *op)
{
	char path[PATH_MAX + 16];
	int n = snprintf(path, sizeof(path), "%s/cgroup.freeze", op->base.c->cgroup_path);

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    write_text_at(op->base.s->parts.roots->cgroup, path, "0") < 0)
		log_warn("sandbox", "container %s: failed to thaw: %s", op->base.c->id,
			 strerror(errno));
}

static void
pause_on_done(struct sandbox_op *base, const struct error *err)
{
	struct pause_op *op = (struct pause_op *)base;

	/* A worker that was killed has not thawed it. */
	if (err->code != ERROR_OK && op->freeze)
		pause_thaw(op);
	if (err->code == ERROR_OK) {
		base->c->paused = op->freeze;
		log_debug("sandbox", "container %s %s", base->c->id,
			  op->freeze ? "paused" : "resumed");
	}
	op_finish(&base->op, err);
}

enum op_outcome
sandbox_resume_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			 struct pending **out, struct error *err)
{
	return pause_submit(s, id, false, done, data, out, err);
}
