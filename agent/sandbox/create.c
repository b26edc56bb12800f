/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateContainer as an operation. Called by agent/rpc through sandbox.h.
 *
 *   queued -> storages -> devices -> CDI devices -> launch (worker) -> done
 *                 \_________\____________\____________\ failed or aborted -> undone -> done
 *
 * The storages are acquired and the devices found only if the request has any. A failure at any
 * step leaves nothing behind: the launch is undone, then the storages are released, then the
 * container is dropped.
 */
#include "agent/container/launch/launch.h"
#include "agent/container/spec/validate.h"
#include "agent/sandbox/create_pause.h"
#include "agent/sandbox/sandbox_op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/cgroup/device_numbers.h"
#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/parse.h"

struct create_op {
	/* Must be first. */
	struct sandbox_op base;
	/* The strings and messages it points to are valid until the operation ends or is
	 * cancelled. */
	struct sandbox_container_request request;
	struct storage_request *acquiring;
	struct create_devices devices;
	bool searching;
	struct create_cdi cdi;
	struct launch launch;
	struct stdio_ends ends;
	/* The host's sockets, until the launch passes them to the streams; -1: none. */
	int pass[3];
	/* The end of the start gate that the container's init inherits. */
	int gate;
	/* A duplicate of the sandbox's pid namespace: the container that owns it may be removed
	 * while the launch waits for a worker. */
	int pidns;
	/* The spec of the request as it is, which belongs to the call. */
	const Grpc__Spec *host_spec;
	/* A copy of the spec with the guest's hooks added; unused if the guest has none. */
	Grpc__Spec with_hooks;
	Grpc__Hooks hooks;
	struct error error;
};

static enum op_outcome create_run(struct op *base, struct error *err);
static void create_on_storages_acquired(const struct error *err, void *data);
static int create_find_devices(struct create_op *op, struct error *err);
static void create_on_devices_found(const struct error *err, void *data);
static int create_find_cdi(struct create_op *op, struct error *err);
static void create_on_cdi_found(const struct error *err, const uint8_t *edits, size_t size,
				void *data);
static int create_launch(struct create_op *op, struct error *err);
static void create_on_launched(struct sandbox_op *base, const struct error *err);
static void create_undone(struct create_op *op);
static void create_fail(struct create_op *op, const struct error *why);
static void create_abort(struct op *base, const struct error *why);
static void create_free(struct op *base);

static void
create_close_far_ends(struct create_op *op)
{
	stdio_ends_close(&op->ends);
	close_fd(&op->gate);
	close_fd(&op->pidns);
}

static const struct op_class create_class = {
	.name = "create container",
	.run = create_run,
	.abort = create_abort,
	.free = create_free,
};

enum op_outcome
sandbox_create_container(struct sandbox *s, const struct sandbox_container_request *request,
			 op_done_fn *done, void *data, struct pending **out, struct error *err)
{
	struct create_op *op;

	if (!container_id_is_valid(request->id))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid container id \"%s\"",
				 request->id);
	if (sandbox_find(s, request->id) && !op_queue_running(&s->queues, request->id))
		return error_set(err, ERROR_ALREADY_EXISTS, "container %s already exists",
				 request->id);
	if (!request->spec)
		return error_set(err, ERROR_INVALID_ARGUMENT, "container %s has no OCI spec",
				 request->id);
	if (spec_validate(request->spec, err) < 0 || create_devices_check(request, err) < 0 ||
	    sandbox_check_labels(s, request->spec->process,
				 request->spec->linux ? request->spec->linux->mountlabel : NULL,
				 err) < 0)
		return error_wrap(err, "container %s", request->id);
	op = sandbox_op_new(s, &create_class, request->id, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->request = *request;
	op->host_spec = request->spec;
	op->gate = op->pidns = -1;
	op->ends = (struct stdio_ends){ .fd = { -1, -1, -1 } };
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		op->pass[i] = request->pass ? steal_fd(&request->pass[i]) : -1;
	return sandbox_op_submit(&op->base, done, data, out, err);
}

/* Repeats the checks that depend on the sandbox's state, when it is the operation's turn. */
static int
create_check_request(const struct sandbox *s, const struct sandbox_container_request *request,
		     struct error *err)
{
	const struct container *c = sandbox_find(s, request->id);

	if (s->state != SANDBOX_CREATED)
		return error_set(err, ERROR_FAILED_PRECONDITION, "the sandbox does not exist");
	if (c)
		return container_allows(c, CONTAINER_CALL_CREATE, err);
	if (sandbox_containers(s) >= SANDBOX_CONTAINERS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "limit of %d containers reached",
				 SANDBOX_CONTAINERS_MAX);
	return 0;
}

/* Returns whether one path equals the other or is below it. */
static bool
create_paths_overlap(const char *a, const char *b)
{
	size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	return strncmp(a, b, n) == 0 && (a[n] == '\0' || a[n] == '/') &&
	       (b[n] == '\0' || b[n] == '/');
}

/* Rejects a cgroup that overlaps another container's: a container is killed and removed by its
 * cgroup. */
static int
create_check_cgroup(const struct sandbox *s, const struct container *c, struct error *err)
{
	struct list *pos;

	for (size_t i = 0; i < s->hung.n; i++)
		if (create_paths_overlap(c->cgroup_path, s->hung.path[i]))
			return error_set(err, ERROR_ALREADY_EXISTS,
					 "container %s: cgroupsPath %s has processes of a removed "
					 "container that hang in the kernel",
					 c->id, s->hung.path[i]);
	list_for_each (pos, &s->containers) {
		const struct container *other = list_entry(pos, struct container, node);

		if (create_paths_overlap(c->cgroup_path, other->cgroup_path))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "container %s: cgroupsPath %s overlaps %s of "
					 "container %s",
					 c->id, c->cgroup_path, other->cgroup_path, other->id);
	}
	return 0;
}

static int
create_take_profile(struct sandbox *s, struct container *c, const Grpc__Spec *spec,
		    struct error *err)
{
	if (!spec->linux || !spec->linux->seccomp)
		return 0;
	c->profile = seccomp_cache_take(&s->profiles, spec->linux->seccomp, err);
	if (!c->profile)
		return -1;
	if (c->profile != s->recent_profile) {
		seccomp_cache_drop(s->recent_profile);
		s->recent_profile = c->profile;
		c->profile->refs++;
	}
	return 0;
}

/* Appends the hooks of the guest's image to those of the spec. */
static int
create_add_guest_hooks(struct create_op *op, struct error *err)
{
	if (!op->base.s->guest_hooks)
		return 0;
	if (hooks_merge(op->request.spec->hooks, op->base.s->guest_hooks, &op->hooks, err) < 0)
		return -1;
	op->with_hooks = *op->request.spec;
	op->with_hooks.hooks = &op->hooks;
	op->request.spec = &op->with_hooks;
	return 0;
}

static enum op_outcome
create_run(struct op *base, struct error *err)
{
	struct create_op *op = (struct create_op *)base;
	struct sandbox *s = op->base.s;

	if (create_check_request(s, &op->request, err) < 0 ||
	    create_cdi_prepare(s, &op->cdi, op->request.spec, err) < 0 ||
	    create_add_guest_hooks(op, err) < 0)
		return OP_FAILED;
	op->base.c = container_new(s->parts.loop, op->request.id, op->request.spec, err);
	if (!op->base.c)
		return OP_FAILED;
	if (create_check_cgroup(s, op->base.c, err) < 0 ||
	    create_take_profile(s, op->base.c, op->request.spec, err) < 0) {
		sandbox_drop(s, op->base.c);
		return OP_FAILED;
	}
	list_append(&s->containers, &op->base.c->node);
	if (op->request.n_storages > 0) {
		op->acquiring = storages_acquire(s->parts.storages, op->base.c->id,
						 op->request.storages, op->request.n_storages,
						 create_on_storages_acquired, op, err);
		if (op->acquiring)
			return OP_PENDING;
	} else if (create_find_devices(op, err) == 0) {
		return OP_PENDING;
	}
	sandbox_drop(s, op->base.c);
	return OP_FAILED;
}

static void
create_on_storages_acquired(const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error why = ERROR_INIT;

	op->acquiring = NULL;
	if (err->code != ERROR_OK) {
		op->error = *err;
		create_undone(op);
		return;
	}
	op->base.c->has_storages = true;
	if (create_find_devices(op, &why) < 0) {
		create_close_far_ends(op);
		create_fail(op, &why);
	}
}

/* Looks for the devices, if the request has any, and launches. Returns 0, or -1 and err if nothing
 * was started. */
static int
create_find_devices(struct create_op *op, struct error *err)
{
	if (op->request.n_devices == 0)
		return create_find_cdi(op, err);
	if (create_devices_find(op->base.s, &op->devices, &op->request, create_on_devices_found, op,
				err) < 0)
		return -1;
	op->searching = true;
	return 0;
}

static void
create_on_devices_found(const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error why = *err;

	op->searching = false;
	if (err->code != ERROR_OK ||
	    create_devices_keep_functions(&op->devices, &op->request, op->base.c, &why) < 0 ||
	    create_find_cdi(op, &why) < 0) {
		create_close_far_ends(op);
		create_fail(op, &why);
	}
}

/* Looks for the CDI devices, if the request has any, and launches. Returns 0, or -1 and err if
 * nothing was started. */
static int
create_find_cdi(struct create_op *op, struct error *err)
{
	if (op->cdi.names.n == 0)
		return create_launch(op, err);
	return create_cdi_find(op->base.s, &op->cdi, op->request.spec, create_on_cdi_found, op,
			       err);
}

/* Replaces the spec by one with the CDI devices. */
static int
create_add_cdi(struct create_op *op, const uint8_t *edits, size_t size, struct error *err)
{
	const Grpc__Spec *spec = create_cdi_merge(&op->cdi, op->host_spec, edits, size, err);

	if (!spec)
		return -1;
	op->request.spec = spec;
	hooks_merge_release(&op->hooks);
	if (create_add_guest_hooks(op, err) < 0)
		return -1;
	return container_set_spec(op->base.c, op->request.spec, err);
}

static void
create_on_cdi_found(const struct error *err, const uint8_t *edits, size_t size, void *data)
{
	struct create_op *op = data;
	struct error why = *err;

	op->cdi.wait = NULL;
	if (err->code != ERROR_OK || create_add_cdi(op, edits, size, &why) < 0 ||
	    create_launch(op, &why) < 0) {
		create_close_far_ends(op);
		create_fail(op, &why);
	}
}

/* Checks that the shared pid namespace is alive: once its first process has ended, the kernel
 * starts no process in it. */
static int
create_check_pidns(const struct sandbox *s, struct error *err)
{
	if (s->ns[NS_PID] < 0 && sandbox_containers(s) > 1)
		return error_set(err, ERROR_FAILED_PRECONDITION, TEXT_NO_SANDBOX_PIDNS);
	if (s->pidns_owner && s->pidns_owner->init_exited)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the sandbox's pid namespace ended with the init of container %s",
				 s->pidns_owner->id);
	return 0;
}

static int
create_open_gate(struct create_op *op, struct error *err)
{
	bool answers = op->base.c->hooks.start_ms > 0;
	int fds[2];

	if (answers ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0
		    : pipe2(fds, O_CLOEXEC) < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to create the start gate");
	op->gate = fds[0];
	op->base.c->gate = fds[1];
	if (!answers && fcntl(op->base.c->gate, F_SETFL, O_NONBLOCK) < 0)
		return error_sys(err, "failed to set up the start gate");
	return 0;
}

static void
create_fill_launch(struct create_op *op)
{
	struct sandbox *s = op->base.s;
	struct container *c = op->base.c;

	/* The spec belongs to the call and is valid until the operation ends or is cancelled; the
	 * worker has its own copy. */
	op->launch = (struct launch){
		.id = c->id,
		.spec = op->request.spec,
		.filter = c->profile ? c->profile->filter : NULL,
		.device_program = &s->device_program,
		.sandbox_id = sandbox_id(s),
		.roots = s->parts.roots,
		.cgroup_path = c->cgroup_path,
		.keyring = c->keyring,
		.bundle = c->bundle,
		.lsm = s->parts.lsm,
		.any_disk = s->parts.any_disk,
		.start_gate = op->gate,
		.functions = c->functions,
		.n_functions = c->n_functions,
		.numbers = op->cdi.numbers,
		.n_numbers = op->cdi.n_numbers,
		/* It may become the sandbox's (create_record_pidns()). */
		.sends_pid_ns = s->ns[NS_PID] < 0,
	};
	memcpy(op->launch.stdio, op->ends.fd, sizeof(op->launch.stdio));
	for (size_t i = 0; i < NS_KINDS; i++)
		op->launch.sandbox_ns[i] = i == NS_PID ? op->pidns : s->ns[i];
}

static int
create_work(struct worker *w, void *arg, struct error *err)
{
	struct create_op *op = arg;
	struct launch launch = op->launch;
	auto_free struct create_pause *pause = NULL;

	if (create_pause_is_wanted(op->request.storages, op->request.n_storages)) {
		pause = calloc(1, sizeof(*pause));
		if (!pause)
			return error_nomem(err, "reading the pause image");
		if (create_pause_fill(pause, op->base.s->parts.roots, launch.spec, err) < 0)
			return -1;
		launch.spec = &pause->spec;
	}
	return container_launch(w, &launch, err);
}

static int
create_on_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct create_op *op = data;

	(void)job;
	op->base.c->init_pid = pid;
	return process_attach(op->base.c->init, op->base.s->parts.init, pid, pidfd, err);
}

/* Starts to watch the container's cgroup for OOM kills. */
static int
create_take_cgroup(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;
	struct container *c = op->base.c;
	struct launch_cgroup cgroup;

	(void)job;
	memcpy(&cgroup, m->payload, sizeof(cgroup));
	c->device_program = cgroup.device_program;
	if (m->n_fds == 0)
		return 0;
	c->oom = oom_watch(&op->base.s->oom, c->id, steal_fd(&m->fds[0]), cgroup.oom_kills, err);
	return c->oom ? 0 : -1;
}

/* Keeps the device program for later containers. On failure the next container loads its own. */
static int
create_take_devices(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;
	struct error ignored = ERROR_INIT;

	(void)job;
	(void)err;
	(void)device_program_keep(&op->base.s->device_program, m->payload, m->size, &m->fds[0],
				  &ignored);
	return 0;
}

/* Keeps the container's namespaces for later processes. */
static int
create_take_namespaces(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;
	const uint8_t *kinds = m->payload;

	(void)job;
	if (m->size < m->n_fds)
		return error_set(err, ERROR_INTERNAL,
				 "invalid namespaces message: %zu fds for %zu namespaces", m->n_fds,
				 m->size);
	for (size_t i = 0; i < m->n_fds; i++) {
		if (kinds[i] >= NS_KINDS)
			continue;
		close_fd(&op->base.c->ns[kinds[i]]);
		op->base.c->ns[kinds[i]] = steal_fd(&m->fds[i]);
	}
	for (size_t i = m->n_fds; i < m->size; i++) {
		if (kinds[i] < NS_KINDS)
			op->base.c->ns_of_sandbox |= 1u << kinds[i];
	}
	return 0;
}

static int
create_take_filter(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;

	(void)job;
	if (!op->base.c->profile)
		return error_set(err, ERROR_INTERNAL,
				 "unexpected seccomp filter: the container has no profile");
	return seccomp_cache_store(op->base.c->profile, m->payload, m->size, err);
}

static int
create_take_tty(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;

	(void)job;
	return stdio_open_tty(&op->base.c->init->stdio, steal_fd(&m->fds[0]), err);
}

static int
create_take_report(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;

	(void)job;
	return process_take_report(op->base.c->init, steal_fd(&m->fds[0]), err);
}

/* Keeps the numbers of the container's devices for updates of its device rules. */
static int
create_take_numbers(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct create_op *op = data;
	struct container *c = op->base.c;

	(void)job;
	if (m->size % sizeof(*c->numbers) != 0)
		return error_set(err, ERROR_INTERNAL, "worker sent %zu bytes of device numbers",
				 m->size);
	free(c->numbers);
	c->n_numbers = 0;
	c->numbers = malloc(m->size);
	if (!c->numbers)
		return error_nomem(err, "keeping the numbers of devices");
	memcpy(c->numbers, m->payload, m->size);
	c->n_numbers = m->size / sizeof(*c->numbers);
	return 0;
}

static const struct job_message_type launch_messages[] = {
	[LAUNCH_MSG_CGROUP] = { .handler = create_take_cgroup,
				.size = sizeof(struct launch_cgroup),
				.n_fds_max = 1 },
	[LAUNCH_MSG_DEVICES] = { .handler = create_take_devices,
				 .size_max = JOB_MESSAGE_MAX,
				 .n_fds = 1 },
	[LAUNCH_MSG_NAMESPACES] = { .handler = create_take_namespaces,
				    .size_max = NS_KINDS,
				    .n_fds_max = NS_KINDS },
	[LAUNCH_MSG_FILTER] = { .handler = create_take_filter, .size_max = sizeof(struct filter) },
	[LAUNCH_MSG_TTY] = { .handler = create_take_tty, .n_fds = 1 },
	[LAUNCH_MSG_REPORT] = { .handler = create_take_report, .n_fds = 1 },
	[LAUNCH_MSG_NUMBERS] = { .handler = create_take_numbers,
				 .size = sizeof(struct device_number),
				 .size_max = LAUNCH_NUMBERS_MAX * sizeof(struct device_number) },
};

static const struct sandbox_job launch_job = {
	.ops = {
		.name = "create container",
		.work = create_work,
		.messages = launch_messages,
		.n_messages = ARRAY_LEN(launch_messages),
		.process = create_on_process,
	},
	.done = create_on_launched,
};

/* Starts the launch worker. Returns 0, or -1 and err if nothing was started. */
static int
create_launch(struct create_op *op, struct error *err)
{
	struct sandbox *s = op->base.s;
	struct sandbox_job job = launch_job;

	if (op->request.sandbox_pidns && create_check_pidns(s, err) < 0)
		return -1;
	stdio_pass(&op->base.c->init->stdio, s->parts.splice_worker, op->pass);
	if (!op->request.spec->process->terminal &&
	    stdio_open_pipes(&op->base.c->init->stdio, s->parts.pipe_size, &op->ends, err) < 0)
		return -1;
	if (create_open_gate(op, err) < 0)
		return -1;
	if (op->request.sandbox_pidns && s->ns[NS_PID] >= 0 &&
	    (op->pidns = fcntl(s->ns[NS_PID], F_DUPFD_CLOEXEC, 3)) < 0)
		return error_sys(err, "failed to duplicate the sandbox's pid namespace");
	create_fill_launch(op);
	if (create_devices_fill(s, &op->devices, &op->request, &op->launch, &op->base.keep, err) <
	    0)
		return -1;
	keep_roots(&op->base.keep, s->parts.roots);
	keep_fd(&op->base.keep, op->gate);
	for (size_t i = 0; i < 3; i++)
		keep_fd(&op->base.keep, op->ends.fd[i]);
	for (size_t i = 0; i < NS_KINDS; i++)
		keep_fd(&op->base.keep, op->launch.sandbox_ns[i]);
	job.deadline_ms = s->parts.create_timeout_ms + op->base.c->hooks.create_ms;
	return sandbox_op_work(&op->base, &job, err) == OP_PENDING ? 0 : -1;
}

/* Makes the first container's pid namespace the sandbox's, for later containers that share it. */
static void
create_record_pidns(struct sandbox *s, struct container *c)
{
	if (sandbox_containers(s) != 1 || c->ns[NS_PID] < 0)
		return;
	close_fd(&s->ns[NS_PID]);
	s->ns[NS_PID] = steal_fd(&c->ns[NS_PID]);
	s->pidns_owner = c;
}

static void
create_on_launched(struct sandbox_op *base, const struct error *err)
{
	struct create_op *op = (struct create_op *)base;
	struct container *c = base->c;

	create_close_far_ends(op);
	if (err->code != ERROR_OK) {
		create_fail(op, err);
		return;
	}
	c->state = c->init_exited ? CONTAINER_STOPPED : CONTAINER_CREATED;
	c->init->ready = true;
	c->joins_pids = op->launch.sandbox_ns[NS_PID] >= 0;
	create_record_pidns(op->base.s, c);
	storages_commit(op->base.s->parts.storages, c->id);
	log_event(LOG_LEVEL_DEBUG, "sandbox", EVENT_CONTAINER_CREATED, NULL, 0,
		  "container %s created: process %d", c->id, (int)c->init_pid);
	op_finish(&op->base.op, NULL);
}

/* Drops the container and ends the operation with op->error. */
static void
create_undone(struct create_op *op)
{
	sandbox_drop(op->base.s, op->base.c);
	op_finish(&op->base.op, &op->error);
}

static void
create_on_storages_released(const struct error *err, void *data)
{
	struct create_op *op = data;

	if (err->code != ERROR_OK)
		log_warn("sandbox", "container %s: failed to release storages: %s", op->base.c->id,
			 err->msg);
	create_undone(op);
}

/* Releases the container's storages, then ends the operation with `why`. The launch has been
 * undone. */
static void
create_fail(struct create_op *op, const struct error *why)
{
	struct error err = ERROR_INIT;

	op->error = *why;
	if (!op->base.c->has_storages) {
		create_undone(op);
		return;
	}
	if (storages_release_owner(op->base.s->parts.storages, op->base.c->id,
				   create_on_storages_released, op, &err) < 0)
		create_on_storages_released(&err, op);
}

static void
create_abort(struct op *base, const struct error *why)
{
	struct create_op *op = (struct create_op *)base;

	if (op->acquiring) {
		op->error = *why;
		storages_abort(op->acquiring, create_on_storages_released, op);
		op->acquiring = NULL;
		return;
	}
	if (op->searching) {
		op->searching = false;
		create_devices_release(&op->devices);
		create_fail(op, why);
		return;
	}
	if (op->cdi.wait) {
		pending_cancel(&op->cdi.wait);
		create_fail(op, why);
		return;
	}
	sandbox_op_abort(base, why);
}

static void
create_free(struct op *base)
{
	struct create_op *op = (struct create_op *)base;

	create_close_far_ends(op);
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		close_fd(&op->pass[i]);
	create_devices_release(&op->devices);
	create_cdi_release(&op->cdi);
	hooks_merge_release(&op->hooks);
	sandbox_op_free(base);
}
