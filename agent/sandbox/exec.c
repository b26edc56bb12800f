/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ExecProcess as an operation: a worker that starts one more process in a container. Called by agent/rpc
 * through sandbox.h. Whatever fails leaves nothing behind.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <stdlib.h>
#include <string.h>

#include "agent/container/spec/retain.h"
#include "lib/cleanup.h"

struct exec_op {
	struct op op; /* first */
	struct sandbox *s;
	const char *id;
	const char *exec_id;
	const Grpc__Process *process; /* the call's: there until this is cancelled */
	struct container *c;          /* stays while this runs */
	struct process *p;
	struct job *job;
	struct launch_exec exec;
	struct keep_fds keep;
	struct stdio_ends ends;
	int pass[3]; /* until it runs: of the host */
};

static struct exec_op *
exec_of(struct op *op)
{
	return (struct exec_op *)op;
}

static void
exec_free(struct op *base)
{
	struct exec_op *op = exec_of(base);

	stdio_ends_close(&op->ends);
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		close_fd(&op->pass[i]);
	free(op);
}

static int
exec_work(struct worker *w, void *arg, struct error *err)
{
	struct exec_op *op = arg;

	struct arena arena;

	arena_init(&arena, SPEC_ARENA_MAX);
	op->exec.spec = kept_unpack(op->c->kept, op->c->kept_size, &arena, err);
	if (!op->exec.spec)
		return -1;
	return container_exec(w, &op->exec, err);
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

static int
on_exec_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct exec_op *op = data;

	(void)job;
	return process_attach(op->p, op->s->parts.init, pid, pidfd, err);
}

static void
on_exec_done(struct job *job, const struct error *err, void *data)
{
	struct exec_op *op = data;

	(void)job;
	op->job = NULL;
	stdio_ends_close(&op->ends);
	if (err->code != ERROR_OK)
		process_free(op->p);
	else
		op->p->ready = true;
	op_finish(&op->op, err);
}

static const struct job_ops exec_job = {
	.name = "exec",
	.work = exec_work,
	.messages = exec_messages,
	.n_messages = ARRAY_LEN(exec_messages),
	.process = on_exec_process,
	.done = on_exec_done,
};

static int
start_job(struct exec_op *op, struct error *err)
{
	struct container *c = op->c;
	struct job_spec job = {
		.ops = &exec_job,
		.arg = op,
		.data = op,
		.keep_fds = op->keep.fd,
		.deadline_ms = op->s->parts.create_timeout_ms,
	};

	op->exec = (struct launch_exec){
		.container_id = c->id,
		.lsm = op->s->parts.lsm,
		.process = op->process,
		.filter = c->profile ? c->profile->filter : NULL,
		.roots = op->s->parts.roots,
		.init_pidfd = c->init ? c->init->pidfd : -1, /* it may be over, and collected */
		.init_pid = c->init_pid,
		.cgroup_path = c->cgroup_path,
		.keyring = c->keyring,
	};
	memcpy(op->exec.ns, c->ns, sizeof(op->exec.ns));
	memcpy(op->exec.stdio, op->ends.fd, sizeof(op->exec.stdio));
	keep_roots(&op->keep, op->s->parts.roots);
	keep_fd(&op->keep, op->exec.init_pidfd);
	for (size_t i = 0; i < 3; i++)
		keep_fd(&op->keep, op->ends.fd[i]);
	for (size_t i = 0; i < NS_KINDS; i++)
		keep_fd(&op->keep, c->ns[i]);
	job.n_keep_fds = op->keep.n;
	op->job = job_start(op->s->parts.jobs, &job, err);
	return op->job ? 0 : -1;
}

static enum op_outcome
exec_run(struct op *base, struct error *err)
{
	struct exec_op *op = exec_of(base);

	op->c = sandbox_container(op->s, op->id, CONTAINER_CALL_EXEC, err);
	if (!op->c)
		return OP_FAILED;
	op->p = container_add_process(op->c, op->exec_id, err);
	if (!op->p)
		return OP_FAILED;
	stdio_pass(&op->p->stdio, op->s->parts.pump, op->pass);
	if ((op->process->terminal ||
	     stdio_open_pipes(&op->p->stdio, op->s->parts.pipe_size, &op->ends, err) == 0) &&
	    start_job(op, err) == 0)
		return OP_PENDING;
	process_free(op->p);
	return OP_FAILED;
}

static void
exec_cancel(struct op *base, const struct error *why)
{
	job_cancel(exec_of(base)->job, why->code, why->msg);
}

static const struct op_class exec_class = {
	.name = "exec",
	.run = exec_run,
	.cancel = exec_cancel,
	.free = exec_free,
};

enum op_outcome
sandbox_exec(struct sandbox *s, const struct sandbox_exec_request *request, op_done_fn *done,
	     void *data, struct op **out, struct error *err)
{
	struct exec_op *op;

	if (!request->process)
		return error_set(err, ERROR_INVALID_ARGUMENT, "exec %s in container %s: no process",
				 request->exec_id, request->id);
	if (process_validate(request->process, err) < 0 ||
	    sandbox_check_labels(s, request->process, NULL, err) < 0)
		return error_wrap(err, "exec %s in container %s", request->exec_id, request->id);
	op = calloc(1, sizeof(*op));
	if (!op)
		return error_nomem(err, exec_class.name);
	*op = (struct exec_op){
		.op = { .class = &exec_class },
		.s = s,
		.id = request->id,
		.exec_id = request->exec_id,
		.process = request->process,
		.ends = { .fd = { -1, -1, -1 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(op->pass); i++)
		op->pass[i] = request->pass ? steal_fd(&request->pass[i]) : -1;
	*out = &op->op;
	return op_submit(&s->queues, op->id, &op->op, done, data, err);
}
