/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UpdateContainer as an operation: a worker writes the new limits. Called by agent/rpc through
 * sandbox.h. If a write fails, the former limits are restored; a worker that is killed at its
 * deadline cannot do that.
 */
#include "agent/sandbox/sandbox_op.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/device_numbers.h"
#include "agent/cgroup/devices.h"
#include "agent/cgroup/limits.h"
#include "lib/cleanup.h"

/* Before a write returns, the kernel reclaims the memory that is over a new limit. */
#define UPDATE_JOB_MS 60000

enum update_msg {
	/* payload: uint32_t, the id of the new program */
	UPDATE_MSG_DEVICES = 1,
};

struct update_op {
	/* Must be first. */
	struct sandbox_op base;
	/* The packed resources for the worker: the call may end before the worker starts. */
	uint8_t *packed;
	size_t packed_size;
};

static enum op_outcome update_run(struct op *base, struct error *err);
static int update_work(struct worker *w, void *arg, struct error *err);
static int update_take_devices(struct job *job, const struct job_message *m, void *data,
			       struct error *err);
static void update_free(struct op *base);

static const struct op_class update_class = {
	.name = "update container",
	.run = update_run,
	.abort = sandbox_op_abort,
	.free = update_free,
	.goes_on = true,
};

enum op_outcome
sandbox_update_container(struct sandbox *s, const char *id, const Grpc__LinuxResources *resources,
			 op_done_fn *done, void *data, struct pending **out, struct error *err)
{
	struct update_op *op;

	if (!sandbox_find(s, id))
		return error_no_container(err, id);
	if (cgroup_limits_validate(resources, true, err) < 0)
		return error_wrap(err, "failed to update container %s", id);
	op = sandbox_op_new(s, &update_class, id, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->packed_size = grpc__linux_resources__get_packed_size(resources);
	op->packed = malloc(op->packed_size > 0 ? op->packed_size : 1);
	if (!op->packed) {
		update_free(&op->base.op);
		return error_nomem_for(err, update_class.name);
	}
	grpc__linux_resources__pack(resources, op->packed);
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static const struct job_message_type update_messages[] = {
	[UPDATE_MSG_DEVICES] = { .handler = update_take_devices, .size = sizeof(uint32_t) },
};

static const struct sandbox_job update_job = {
	.ops = {
		.name = "update container",
		.work = update_work,
		.messages = update_messages,
		.n_messages = ARRAY_LEN(update_messages),
	},
	.deadline_ms = UPDATE_JOB_MS,
};

static enum op_outcome
update_run(struct op *base, struct error *err)
{
	struct update_op *op = (struct update_op *)base;
	const struct roots *roots = op->base.s->parts.roots;

	op->base.c = sandbox_container(op->base.s, op->base.id, CONTAINER_CALL_UPDATE, err);
	if (!op->base.c)
		return OP_FAILED;
	if (roots->cgroup < 0) {
		error_set(err, ERROR_FAILED_PRECONDITION,
			  "container %s cannot be limited: the guest has no cgroups", op->base.id);
		return OP_FAILED;
	}
	keep_fd(&op->base.keep, roots->cgroup);
	return sandbox_op_work(&op->base, &update_job, err);
}

/* Replaces the device rules before the limits are written, since the former rules can always be
 * restored. *program is the id of the attached program. */
static int
update_devices(const struct update_op *op, int fd, const Grpc__LinuxResources *r, uint32_t *program,
	       struct error *err)
{
	struct device_rules rules;
	int result;

	if (device_rules_make(r->devices, r->n_devices, NULL, 0, op->base.s->parts.any_disk, &rules,
			      err) < 0)
		return -1;
	result = cgroup_devices_apply(fd, &rules, program, err);
	free(rules.list);
	return result;
}

static int
update_work(struct worker *w, void *arg, struct error *err)
{
	struct update_op *op = arg;
	Grpc__LinuxResources *r = grpc__linux_resources__unpack(NULL, op->packed_size, op->packed);
	uint32_t program = op->base.c->device_program;
	int root = op->base.s->parts.roots->cgroup;
	auto_close int fd = -1;
	auto_close int former = -1;

	if (!r)
		return error_nomem(err, "unpacking resources");
	fd = cgroup_open(root, op->base.c->cgroup_path);
	if (fd < 0)
		return error_sys(err, "failed to open cgroup %s", op->base.c->cgroup_path);
	if (r->n_devices == 0)
		return cgroup_limits_update(fd, root, r, err);
	/* Hosts resend the rules of the spec with the host's numbers, or one that denies all. */
	if (device_numbers_apply(r, op->base.c->numbers, op->base.c->n_numbers, err) < 0)
		return -1;
	former = cgroup_devices_hold(program);
	if (update_devices(op, fd, r, &program, err) < 0)
		return -1;
	if (cgroup_limits_update(fd, root, r, err) < 0) {
		cgroup_devices_restore(fd, former, &program);
		return -1;
	}
	return worker_send(w, UPDATE_MSG_DEVICES, &program, sizeof(program), NULL, 0, false, err);
}

static int
update_take_devices(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct update_op *op = data;

	(void)job;
	(void)err;
	memcpy(&op->base.c->device_program, m->payload, m->size);
	return 0;
}

static void
update_free(struct op *base)
{
	struct update_op *op = (struct update_op *)base;

	free(op->packed);
	sandbox_op_free(base);
}
