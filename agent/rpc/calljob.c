/* SPDX-License-Identifier: Apache-2.0 */
/* See calljob.h. */
#include "agent/rpc/calljob.h"

#include <stdalign.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* The bytes of output in a message, far below the limit of its size. */
#define PIECE_MAX (32u << 10)

enum calljob_msg {
	/* payload: bytes */
	CALLJOB_MSG_OUTPUT = 1,
};

struct calljob {
	/* Valid while `pending` is pending. */
	struct call *call;
	struct pending pending;
	const struct calljob_class *class;
	struct job_ops ops;
	struct job *job;
	struct buf output;
	/* The error of the first piece of output that did not fit. */
	struct error lost;
	/* The fds of the roots. */
	int keep[6];
	size_t n_keep;
	alignas(max_align_t) char arg[];
};

static int calljob_take_output(struct job *job, const struct job_message *m, void *data,
			       struct error *err);
static void calljob_free(struct calljob *t);
static void calljob_on_done(struct job *job, const struct error *err, void *data);
static int calljob_answer(struct calljob *t, struct error *err);
static void calljob_unwanted(struct pending *p);

struct calljob *
calljob_new(struct call *call, const struct calljob_class *class, size_t size, struct error *err)
{
	struct calljob *t = calloc(1, sizeof(*t) + size);

	if (!t) {
		error_nomem(err, "preparing a worker");
		return NULL;
	}
	t->call = call;
	t->class = class;
	t->lost = ERROR_INIT;
	buf_init(&t->output, CALLJOB_OUTPUT_MAX + 1);
	return t;
}

void *
calljob_arg(struct calljob *t)
{
	return t->arg;
}

int
calljob_send(struct worker *w, const void *data, size_t n, struct error *err)
{
	const char *p = data;

	while (n > 0) {
		size_t piece = n < PIECE_MAX ? n : PIECE_MAX;

		if (worker_send(w, CALLJOB_MSG_OUTPUT, p, piece, NULL, 0, false, err) < 0)
			return -1;
		p += piece;
		n -= piece;
	}
	return 0;
}

static const struct job_message_type job_messages[] = {
	[CALLJOB_MSG_OUTPUT] = { .handler = calljob_take_output, .size_max = PIECE_MAX },
};

enum rpc_outcome
calljob_start(struct calljob *t, struct error *err)
{
	const struct agent *agent = call_agent(t->call);
	const struct roots *roots = &agent->roots;
	const int fds[] = { roots->proc,   roots->sys, roots->dev,
			    roots->cgroup, roots->run, roots->root };
	struct job_spec job = {
		.ops = &t->ops,
		.arg = t->arg,
		.data = t,
		.keep_fds = t->keep,
		.deadline_ms = t->class->deadline_ms,
	};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (fds[i] >= 0)
			t->keep[t->n_keep++] = fds[i];
	}
	job.n_keep_fds = t->n_keep;
	t->ops = (struct job_ops){
		.name = t->class->name,
		.work = t->class->work,
		.messages = job_messages,
		.n_messages = ARRAY_LEN(job_messages),
		.done = calljob_on_done,
	};
	t->job = job_start(agent->jobs, &job, err);
	if (!t->job) {
		calljob_free(t);
		return RPC_FAILED;
	}
	t->pending.cancel = calljob_unwanted;
	return call_park(t->call, &t->pending);
}

static int
calljob_take_output(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct calljob *t = data;

	(void)job;
	if (buf_append(&t->output, m->payload, m->size) == 0)
		return 0;
	/* The worker does not wait for a reply to a piece. */
	error_set(&t->lost, ERROR_RESOURCE_EXHAUSTED, "no room for a reply of more than %zu bytes",
		  buf_len(&t->output));
	*err = t->lost;
	return -1;
}

static void
calljob_free(struct calljob *t)
{
	buf_release(&t->output);
	free(t);
}

static void
calljob_on_done(struct job *job, const struct error *err, void *data)
{
	struct calljob *t = data;
	struct error why = *err;

	(void)job;
	if (pending_end(&t->pending)) {
		if (why.code == ERROR_DEADLINE_EXCEEDED && t->class->partial &&
		    buf_len(&t->output) > 0) {
			log_warn("agent", "%s: %s; replying with the partial result",
				 t->class->name, why.msg);
			why = ERROR_INIT;
		}
		if (why.code == ERROR_OK)
			why = t->lost;
		if (why.code == ERROR_OK && calljob_answer(t, &why) == 0)
			call_reply(t->call);
		else
			call_fail(t->call, &why);
	}
	calljob_free(t);
}

static int
calljob_answer(struct calljob *t, struct error *err)
{
	size_t n = buf_len(&t->output);
	uint8_t *end;

	if (!t->class->finish)
		return 0;
	end = buf_reserve(&t->output, 1);
	if (!end)
		return error_nomem(err, t->class->name);
	*end = '\0';
	buf_commit(&t->output, 1);
	return t->class->finish(t->call, (char *)(uintptr_t)buf_head(&t->output), n, err);
}

static void
calljob_unwanted(struct pending *p)
{
	job_cancel(pending_entry(p, struct calljob, pending)->job, ERROR_CANCELLED,
		   "the call has ended");
}
