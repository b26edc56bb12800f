/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatsContainer as an operation: a worker reads the counters. It waits only for earlier
 * StatsContainer operations on the container, not for others. Called by agent/rpc through
 * sandbox.h.
 */
#include "agent/sandbox/sandbox_op.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/stats.h"
#include "lib/cleanup.h"

#define STATS_JOB_MS 10000

/* Records in a message, far below the limit of its size. */
#define RECORDS_PER_MESSAGE 256

enum stats_msg {
	/* payload: struct stat_record[] */
	STATS_MSG_RECORDS = 1,
};

struct stats_op {
	/* Must be first. */
	struct sandbox_op base;
	/* Belongs to the caller; valid while the caller waits. */
	struct stats *out;
	struct stats read;
	/* The container's id. */
	char *container;
	char *cgroup_path;
	/* The container's network namespace; -1: the guest's. */
	int net;
};

static enum op_outcome stats_run(struct op *base, struct error *err);
static int stats_take_container(struct stats_op *op, struct error *err);
static int stats_work(struct worker *w, void *arg, struct error *err);
static int stats_take_records(struct job *job, const struct job_message *m, void *data,
			      struct error *err);
static void stats_on_done(struct sandbox_op *base, const struct error *err);
static void stats_free(struct op *base);

static const struct op_class stats_class = {
	.name = "read container statistics",
	.run = stats_run,
	.abort = sandbox_op_abort,
	.free = stats_free,
};

enum op_outcome
sandbox_container_stats(struct sandbox *s, const char *id, struct stats *out, op_done_fn *done,
			void *data, struct pending **pending, struct error *err)
{
	struct stats_op *op;
	auto_free char *key = NULL;

	*out = (struct stats){ 0 };
	if (!sandbox_find(s, id))
		return error_no_container(err, id);
	/* The slash gives the operation its own queue: a container's id cannot contain one. */
	if (asprintf(&key, "%s/stats", id) < 0) {
		key = NULL;
		return error_nomem(err, "reading statistics");
	}
	op = sandbox_op_new(s, &stats_class, key, sizeof(*op), err);
	if (!op)
		return OP_FAILED;
	op->out = out;
	op->net = -1;
	op->container = strdup(id);
	if (!op->container) {
		stats_free(&op->base.op);
		return error_nomem(err, "reading statistics");
	}
	return sandbox_op_submit(&op->base, done, data, pending, err);
}

static const struct job_message_type stats_messages[] = {
	[STATS_MSG_RECORDS] = { .handler = stats_take_records,
				.size = sizeof(struct stat_record),
				.size_max = RECORDS_PER_MESSAGE * sizeof(struct stat_record) },
};

static const struct sandbox_job stats_job = {
	.ops = {
		.name = "read container statistics",
		.work = stats_work,
		.messages = stats_messages,
		.n_messages = ARRAY_LEN(stats_messages),
	},
	.done = stats_on_done,
	.deadline_ms = STATS_JOB_MS,
};

static enum op_outcome
stats_run(struct op *base, struct error *err)
{
	struct stats_op *op = (struct stats_op *)base;
	const struct roots *roots = op->base.s->parts.roots;

	if (stats_take_container(op, err) < 0)
		return OP_FAILED;
	keep_fd(&op->base.keep, roots->cgroup);
	keep_fd(&op->base.keep, roots->proc);
	keep_fd(&op->base.keep, op->net);
	return sandbox_op_work(&op->base, &stats_job, err);
}

/* Copies what the worker needs: the container may be removed while it runs. */
static int
stats_take_container(struct stats_op *op, struct error *err)
{
	const struct container *c =
		sandbox_container(op->base.s, op->container, CONTAINER_CALL_STATS, err);

	if (!c)
		return -1;
	op->cgroup_path = strdup(c->cgroup_path);
	if (!op->cgroup_path)
		return error_nomem_for(err, stats_job.ops.name);
	if (c->ns[NS_NET] < 0)
		return 0;
	op->net = fcntl(c->ns[NS_NET], F_DUPFD_CLOEXEC, 3);
	return op->net < 0 ? error_sys(err, "failed to duplicate the network namespace") : 0;
}

static int
stats_work(struct worker *w, void *arg, struct error *err)
{
	struct stats_op *op = arg;
	const struct roots *roots = op->base.s->parts.roots;
	auto_close int fd = roots->cgroup < 0 ? -1 : cgroup_open(roots->cgroup, op->cgroup_path);
	struct stats s = { 0 };

	if (fd >= 0 && cgroup_stats_read(fd, &s, err) < 0)
		return -1;
	if (op->net >= 0 && setns(op->net, CLONE_NEWNET) < 0)
		return error_sys(err, "failed to join the network namespace");
	if (net_stats_read(roots->proc, &s, err) < 0)
		return -1;
	for (size_t i = 0; i < s.n; i += RECORDS_PER_MESSAGE) {
		size_t n = s.n - i < RECORDS_PER_MESSAGE ? s.n - i : RECORDS_PER_MESSAGE;

		if (worker_send(w, STATS_MSG_RECORDS, s.list + i, n * sizeof(*s.list), NULL, 0,
				false, err) < 0)
			return -1;
	}
	return 0;
}

static int
stats_take_records(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct stats *s = &((struct stats_op *)data)->read;
	size_t n = m->size / sizeof(*s->list);
	struct stat_record *list;

	(void)job;
	if (m->size % sizeof(*s->list) || s->n + n > STATS_MAX)
		return error_set(err, ERROR_INTERNAL, "invalid statistics message of %zu bytes",
				 m->size);
	list = realloc(s->list, (s->n + n) * sizeof(*list));
	if (!list)
		return error_nomem(err, "reading statistics");
	s->list = list;
	memcpy(list + s->n, m->payload, m->size);
	s->n += n;
	return 0;
}

static void
stats_on_done(struct sandbox_op *base, const struct error *err)
{
	struct stats_op *op = (struct stats_op *)base;

	if (err->code == ERROR_OK && pending_is_wanted(&base->op.pending)) {
		*op->out = op->read;
		op->read = (struct stats){ 0 };
	}
	op_finish(&base->op, err);
}

static void
stats_free(struct op *base)
{
	struct stats_op *op = (struct stats_op *)base;

	close_fd(&op->net);
	free(op->read.list);
	free(op->cgroup_path);
	free(op->container);
	sandbox_op_free(base);
}
