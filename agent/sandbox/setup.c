/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateSandbox as an operation. Called by agent/rpc through sandbox.h.
 *
 *   queued -> first (worker) -> storages -> names (worker) -> done
 *                 \______________\_____________\ failed or aborted -> undone -> done
 *
 * The first worker loads modules and makes namespaces, the second sets up resolv.conf, hostname and
 * hosts. A failure restores the state before the call.
 */
#include "agent/sandbox/sandbox_op.h"

#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"

struct setup_op {
	/* Must be first. */
	struct sandbox_op base;
	struct setup_work work;
	/* The strings it points to are valid until the operation ends or is cancelled. */
	struct sandbox_request request;
	struct storage_request *acquiring;
	char *sandbox_id;
	Grpc__Hooks *hooks;
	struct setup_names names;
	bool has_storages;
	bool releasing;
	struct error error;
};

static enum op_outcome setup_run(struct op *base, struct error *err);
static void setup_on_first_done(struct sandbox_op *base, const struct error *err);
static void setup_on_storages_acquired(const struct error *err, void *data);
static void setup_start_names(struct setup_op *op);
static void setup_on_names_done(struct sandbox_op *base, const struct error *err);
static void setup_succeed(struct setup_op *op);
static void setup_fail(struct setup_op *op, const struct error *why);
static void setup_abort(struct op *base, const struct error *why);
static void setup_free(struct op *base);

static const struct op_class setup_class = {
	.name = "create sandbox",
	.run = setup_run,
	.abort = setup_abort,
	.free = setup_free,
};

enum op_outcome
sandbox_create(struct sandbox *s, const struct sandbox_request *request, op_done_fn *done,
	       void *data, struct pending **out, struct error *err)
{
	struct setup_op *op;

	if (strlen(request->hostname) > SANDBOX_HOSTNAME_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "hostname exceeds %d bytes",
				 SANDBOX_HOSTNAME_MAX);
	for (size_t i = 0; i < request->n_modules; i++) {
		if (request->modules[i].name[0] == '\0')
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "kernel module %zu has no name", i);
	}
	if (s->state == SANDBOX_CREATING)
		return error_set(err, ERROR_FAILED_PRECONDITION, "the sandbox is being created");
	op = sandbox_op_new(s, &setup_class, SANDBOX_KEY, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->request = *request;
	op->work = (struct setup_work){ .request = &op->request, .roots = s->parts.roots };
	op->sandbox_id = strdup(request->id);
	if (!op->sandbox_id) {
		setup_free(&op->base.op);
		return error_nomem_for(err, setup_class.name);
	}
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static int
setup_do_first(struct worker *w, void *arg, struct error *err)
{
	return setup_work_first(w, &((const struct setup_op *)arg)->work, err);
}

static int
setup_take_namespaces(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct setup_op *op = data;

	(void)job;
	(void)err;
	op->base.s->ns[NS_IPC] = steal_fd(&m->fds[0]);
	op->base.s->ns[NS_UTS] = steal_fd(&m->fds[1]);
	return 0;
}

static int
setup_take_hooks(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct setup_op *op = data;

	(void)job;
	op->hooks = grpc__hooks__unpack(NULL, m->size, m->payload);
	return op->hooks ? 0 : error_nomem(err, "storing the guest's hooks");
}

static const struct job_message_type first_messages[] = {
	[SETUP_MSG_NAMESPACES] = { .handler = setup_take_namespaces, .n_fds = 2 },
	[SETUP_MSG_HOOKS] = { .handler = setup_take_hooks, .size_max = JOB_MESSAGE_MAX },
};

static const struct sandbox_job first_job = {
	.ops = {
		.name = "create sandbox",
		.work = setup_do_first,
		.messages = first_messages,
		.n_messages = ARRAY_LEN(first_messages),
	},
	.done = setup_on_first_done,
};

static enum op_outcome
setup_run(struct op *base, struct error *err)
{
	struct setup_op *op = (struct setup_op *)base;
	struct sandbox *s = op->base.s;

	if (s->state == SANDBOX_DESTROYED)
		return error_set(err, ERROR_FAILED_PRECONDITION, "the sandbox has been destroyed");
	if (s->state != SANDBOX_NONE)
		return error_set(err, ERROR_ALREADY_EXISTS, "the sandbox already exists");
	s->state = SANDBOX_CREATING;
	keep_roots(&op->base.keep, s->parts.roots);
	if (sandbox_op_work(&op->base, &first_job, err) == OP_PENDING)
		return OP_PENDING;
	s->state = SANDBOX_NONE;
	return OP_FAILED;
}

static void
setup_on_first_done(struct sandbox_op *base, const struct error *err)
{
	struct setup_op *op = (struct setup_op *)base;
	struct error why = ERROR_INIT;

	if (err->code != ERROR_OK) {
		setup_fail(op, err);
		return;
	}
	if (op->request.n_storages == 0) {
		setup_start_names(op);
		return;
	}
	op->has_storages = true;
	op->acquiring =
		storages_acquire(op->base.s->parts.storages, "", op->request.storages,
				 op->request.n_storages, setup_on_storages_acquired, op, &why);
	if (!op->acquiring)
		setup_fail(op, &why);
}

static void
setup_on_storages_acquired(const struct error *err, void *data)
{
	struct setup_op *op = data;

	op->acquiring = NULL;
	if (err->code != ERROR_OK) {
		setup_fail(op, err);
		return;
	}
	setup_start_names(op);
}

static int
setup_do_names(struct worker *w, void *arg, struct error *err)
{
	return setup_work_names(w, &((const struct setup_op *)arg)->work, err);
}

static int
setup_take_names(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct setup_op *op = data;

	(void)job;
	if (m->size != m->n_fds * sizeof(op->names.id[0]))
		return error_set(err, ERROR_INTERNAL,
				 "invalid mounts message: %zu fds for %zu bytes of ids", m->n_fds,
				 m->size);
	setup_names_close(&op->names);
	for (size_t i = 0; i < m->n_fds; i++)
		op->names.point[i] = steal_fd(&m->fds[i]);
	memcpy(op->names.id, m->payload, m->size);
	op->names.n = m->n_fds;
	return 0;
}

static const struct job_message_type names_messages[] = {
	[SETUP_MSG_NAMES] = { .handler = setup_take_names,
			      .size_max = SETUP_NAMES_MAX * sizeof(int32_t),
			      .n_fds_max = SETUP_NAMES_MAX },
};

static const struct sandbox_job names_job = {
	.ops = {
		.name = "set up resolv.conf, hostname and hosts",
		.work = setup_do_names,
		.messages = names_messages,
		.n_messages = ARRAY_LEN(names_messages),
	},
	.done = setup_on_names_done,
};

static void
setup_start_names(struct setup_op *op)
{
	struct error err = ERROR_INIT;

	if (!setup_names_wanted(&op->request))
		setup_succeed(op);
	else if (sandbox_op_work(&op->base, &names_job, &err) != OP_PENDING)
		setup_fail(op, &err);
}

static void
setup_on_names_done(struct sandbox_op *base, const struct error *err)
{
	struct setup_op *op = (struct setup_op *)base;

	if (err->code != ERROR_OK)
		setup_fail(op, err);
	else
		setup_succeed(op);
}

static void
setup_succeed(struct setup_op *op)
{
	struct sandbox *s = op->base.s;

	s->id = steal_ptr(&op->sandbox_id);
	log_set_sandbox(s->id);
	s->guest_hooks = steal_ptr(&op->hooks);
	setup_names_close(&s->names);
	s->names = op->names;
	op->names.n = 0;
	if (s->state == SANDBOX_CREATING)
		s->state = SANDBOX_CREATED;
	op_finish(&op->base.op, NULL);
}

/* Resets the sandbox's state and ends the operation with op->error. */
static void
setup_undone(struct setup_op *op)
{
	close_fd(&op->base.s->ns[NS_IPC]);
	close_fd(&op->base.s->ns[NS_UTS]);
	if (op->base.s->state == SANDBOX_CREATING)
		op->base.s->state = SANDBOX_NONE;
	op_finish(&op->base.op, &op->error);
}

static void
setup_on_storages_released(const struct error *err, void *data)
{
	struct setup_op *op = data;

	if (err->code != ERROR_OK)
		log_warn("sandbox", "failed to release the sandbox's storages: %s", err->msg);
	setup_undone(op);
}

static void
setup_fail(struct setup_op *op, const struct error *why)
{
	struct error err = ERROR_INIT;

	op->error = *why;
	op->releasing = true;
	if (!op->has_storages) {
		setup_undone(op);
		return;
	}
	if (storages_release_owner(op->base.s->parts.storages, "", setup_on_storages_released, op,
				   &err) < 0)
		setup_on_storages_released(&err, op);
}

static void
setup_abort(struct op *base, const struct error *why)
{
	struct setup_op *op = (struct setup_op *)base;

	if (op->acquiring) {
		op->error = *why;
		op->releasing = true;
		storages_abort(op->acquiring, setup_on_storages_released, op);
		op->acquiring = NULL;
	} else if (!op->releasing) {
		sandbox_op_abort(base, why);
	}
}

static void
setup_free(struct op *base)
{
	struct setup_op *op = (struct setup_op *)base;

	setup_names_close(&op->names);
	free(op->sandbox_id);
	if (op->hooks)
		grpc__hooks__free_unpacked(op->hooks, NULL);
	sandbox_op_free(base);
}
