/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ExecProcess as an operation: a worker starts one more process in a container. Called by agent/rpc
 * through sandbox.h. A failure at any step leaves nothing behind.
 */
#include "agent/container/launch/launch.h"
#include "agent/sandbox/sandbox_op.h"

#include <stdlib.h>
#include <string.h>

#include "agent/container/spec/retain.h"
#include "agent/container/spec/validate.h"
#include "lib/cleanup.h"

struct exec_op {
	/* Must be first. */
	struct sandbox_op base;
	const char *exec_id;
	/* Belongs to the call; valid until the operation ends or is cancelled. */
	const Grpc__Process *process;
	struct process *p;
	struct launch_exec exec;
	struct stdio_ends ends;
	/* The host's sockets, until the exec runs; -1: none. */
	int pass[3];
};

static enum op_outcome exec_run(struct op *base, struct error *err);
static enum op_outcome exec_begin(struct exec_op *op, struct error *err);
static int exec_work(struct worker *w, void *arg, struct error *err);
static int exec_on_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err);
static void exec_on_done(struct sandbox_op *base, const struct error *err);
static void exec_free(struct op *base);

static const struct op_class exec_class = {
	.name = "exec",
	.run = exec_run,
	.abort = sandbox_op_abort,
	.free = exec_free,
};

enum op_outcome
sandbox_exec(struct sandbox *s, const struct sandbox_exec_request *request, op_done_fn *done,
	     void *data, struct pending **out, struct error *err)
{
	struct exec_op *op;

	if (!request->process)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "exec %s in container %s has no process", request->exec_id,
				 request->id);
	if (process_validate(request->process, err) < 0 ||
	    sandbox_check_labels(s, request->process, NULL, err) < 0)
		return error_wrap(err, "exec %s in container %s", request->exec_id, request->id);
	op = sandbox_op_new(s, &exec_class, request->id, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->exec_id = request->exec_id;
	op->process = request->process;
	op->ends = (struct stdio_ends){ .fd = { -1, -1, -1 } };
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		op->pass[i] = request->pass ? steal_fd(&request->pass[i]) : -1;
	return sandbox_op_submit(&op->base, done, data, out, err);
}

static enum op_outcome
exec_run(struct op *base, struct error *err)
{
	struct exec_op *op = (struct exec_op *)base;

	op->base.c = sandbox_container(op->base.s, op->base.id, CONTAINER_CALL_EXEC, err);
	if (!op->base.c)
		return OP_FAILED;
	op->p = container_add_process(op->base.c, op->exec_id, err);
	if (!op->p)
		return OP_FAILED;
	stdio_pass(&op->p->stdio, op->base.s->parts.splice_worker, op->pass);
	if ((op->process->terminal ||
	     stdio_open_pipes(&op->p->stdio, op->base.s->parts.pipe_size, &op->ends, err) == 0) &&
	    exec_begin(op, err) == OP_PENDING)
		return OP_PENDING;
	process_free(op->p);
	return OP_FAILED;
}

static int
exec_take_tty(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct exec_op *op = data;

	(void)job;
	return stdio_open_tty(&op->p->stdio, steal_fd(&m->fds[0]), err);
}

static int
exec_take_report(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct exec_op *op = data;

	(void)job;
	return process_take_report(op->p, steal_fd(&m->fds[0]), err);
}

static const struct job_message_type exec_messages[] = {
	[LAUNCH_MSG_TTY] = { .handler = exec_take_tty, .n_fds = 1 },
	[LAUNCH_MSG_REPORT] = { .handler = exec_take_report, .n_fds = 1 },
};

static const struct sandbox_job exec_job = {
	.ops = {
		.name = "exec",
		.work = exec_work,
		.messages = exec_messages,
		.n_messages = ARRAY_LEN(exec_messages),
		.process = exec_on_process,
	},
	.done = exec_on_done,
};

static enum op_outcome
exec_begin(struct exec_op *op, struct error *err)
{
	struct container *c = op->base.c;
	struct sandbox_job job = exec_job;

	op->exec = (struct launch_exec){
		.container_id = c->id,
		.lsm = op->base.s->parts.lsm,
		.process = op->process,
		.functions = c->functions,
		.n_functions = c->n_functions,
		.filter = c->profile ? c->profile->filter : NULL,
		.roots = op->base.s->parts.roots,
		/* The init may have ended and been reaped. */
		.init_pidfd = c->init ? c->init->pidfd : -1,
		.init_pid = c->init_pid,
		.cgroup_path = c->cgroup_path,
		.keyring = c->keyring,
	};
	for (size_t i = 0; i < NS_KINDS; i++) {
		bool of_sandbox = c->ns_of_sandbox & 1u << i;

		op->exec.ns[i] = of_sandbox ? op->base.s->ns[i] : c->ns[i];
		/* A shared pid namespace ends with its owner, and then so has the init process. */
		if (of_sandbox && op->exec.ns[i] < 0 && i != NS_PID)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "container %s: the sandbox's namespaces are gone", c->id);
	}
	memcpy(op->exec.stdio, op->ends.fd, sizeof(op->exec.stdio));
	keep_roots(&op->base.keep, op->base.s->parts.roots);
	keep_fd(&op->base.keep, op->exec.init_pidfd);
	for (size_t i = 0; i < 3; i++)
		keep_fd(&op->base.keep, op->ends.fd[i]);
	for (size_t i = 0; i < NS_KINDS; i++)
		keep_fd(&op->base.keep, op->exec.ns[i]);
	job.deadline_ms = op->base.s->parts.create_timeout_ms;
	return sandbox_op_work(&op->base, &job, err);
}

static int
exec_work(struct worker *w, void *arg, struct error *err)
{
	struct exec_op *op = arg;

	struct arena arena;

	arena_init(&arena, SPEC_ARENA_MAX);
	op->exec.spec = spec_retain_unpack(op->base.c->kept, op->base.c->kept_size, &arena, err);
	if (!op->exec.spec)
		return -1;
	return container_exec(w, &op->exec, err);
}

static int
exec_on_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct exec_op *op = data;

	(void)job;
	return process_attach(op->p, op->base.s->parts.init, pid, pidfd, err);
}

static void
exec_on_done(struct sandbox_op *base, const struct error *err)
{
	struct exec_op *op = (struct exec_op *)base;

	stdio_ends_close(&op->ends);
	if (err->code != ERROR_OK)
		process_free(op->p);
	else
		op->p->ready = true;
	op_finish(&base->op, err);
}

static void
exec_free(struct op *base)
{
	struct exec_op *op = (struct exec_op *)base;

	stdio_ends_close(&op->ends);
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		close_fd(&op->pass[i]);
	sandbox_op_free(base);
}
