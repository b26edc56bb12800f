/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PauseContainer and ResumeContainer as operations: a worker that freezes or thaws and waits until it is so.
 * Called by agent/rpc through sandbox.h. What fails leaves the container running; signals need neither.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/freeze.h"
#include "lib/io.h"
#include "lib/log.h"

#define FREEZE_MS     4000 /* then somebody in it waits for a disk or a share */
#define FREEZE_JOB_MS 8000

struct pause_op {
	struct op op; /* first */
	struct sandbox *s;
	char *id;
	bool freeze;
	struct container *c; /* stays while this runs */
	struct keep_fds keep;
};

static struct pause_op *
pause_of(struct op *op)
{
	return (struct pause_op *)op;
}

static void
pause_free(struct op *base)
{
	free(pause_of(base)->id);
	free(base);
}

static int
pause_work(struct worker *w, void *arg, struct error *err)
{
	struct pause_op *op = arg;
	int root = op->s->parts.roots->cgroup;

	(void)w;
	return op->freeze ? cgroup_freeze(root, op->c->cgroup_path, FREEZE_MS, err)
			  : cgroup_thaw(root, op->c->cgroup_path, FREEZE_MS, err);
}

/* Waits for nothing. */
static void
thaw_at_once(const struct pause_op *op)
{
	char path[PATH_MAX + 16];
	int n = snprintf(path, sizeof(path), "%s/cgroup.freeze", op->c->cgroup_path);

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    write_text_at(op->s->parts.roots->cgroup, path, "0") < 0)
		log_warn("sandbox", "container %s: thaw: %s", op->c->id, strerror(errno));
}

static void
on_pause_done(struct job *job, const struct error *err, void *data)
{
	struct pause_op *op = data;

	(void)job;
	if (err->code != ERROR_OK && op->freeze)
		thaw_at_once(op); /* a worker that was killed has not */
	if (err->code == ERROR_OK) {
		op->c->paused = op->freeze;
		log_debug("sandbox", "container %s is %s", op->c->id,
			  op->freeze ? "paused" : "resumed");
	}
	op_finish(&op->op, err);
}

static const struct job_ops pause_job = {
	.name = "pause container",
	.work = pause_work,
	.done = on_pause_done,
};

static enum op_outcome
pause_run(struct op *base, struct error *err)
{
	struct pause_op *op = pause_of(base);
	const struct roots *roots = op->s->parts.roots;
	struct job_spec job = {
		.ops = &pause_job,
		.arg = op,
		.data = op,
		.keep_fds = op->keep.fd,
		.deadline_ms = FREEZE_JOB_MS,
	};

	op->c = sandbox_container(op->s, op->id,
				  op->freeze ? CONTAINER_CALL_PAUSE : CONTAINER_CALL_RESUME, err);
	if (!op->c)
		return OP_FAILED;
	if (roots->cgroup < 0) {
		error_set(err, ERROR_FAILED_PRECONDITION,
			  "container %s cannot be paused: the guest has no cgroups", op->c->id);
		return OP_FAILED;
	}
	keep_fd(&op->keep, roots->cgroup);
	job.n_keep_fds = op->keep.n;
	return job_start(op->s->parts.jobs, &job, err) ? OP_PENDING : OP_FAILED;
}

/* Cannot be hurried: what it waits for ends by itself, and a half frozen container would be worse. */
static const struct op_class pause_class = {
	.name = "pause container",
	.run = pause_run,
	.free = pause_free,
};

static const struct op_class resume_class = {
	.name = "resume container",
	.run = pause_run,
	.free = pause_free,
};

static enum op_outcome
submit(struct sandbox *s, const char *id, bool freeze, op_done_fn *done, void *data,
       struct op **out, struct error *err)
{
	struct pause_op *op;

	if (!sandbox_find(s, id))
		return error_no_container(err, id);
	op = calloc(1, sizeof(*op));
	if (op)
		op->id = strdup(id);
	if (!op || !op->id) {
		free(op);
		return error_nomem(err, "pausing a container");
	}
	op->op.class = freeze ? &pause_class : &resume_class;
	op->s = s;
	op->freeze = freeze;
	*out = &op->op;
	return op_submit(&s->queues, id, &op->op, done, data, err);
}

enum op_outcome
sandbox_pause_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			struct op **op, struct error *err)
{
	return submit(s, id, true, done, data, op, err);
}

enum op_outcome
sandbox_resume_container(struct sandbox *s, const char *id, op_done_fn *done, void *data,
			 struct op **op, struct error *err)
{
	return submit(s, id, false, done, data, op, err);
}
