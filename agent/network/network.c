/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the guest's network, on the loop. Each is a job; modifying operations share one
 * lane.
 *
 *   WORKING -> done
 *     ^ |  the interface is absent
 *     | v
 *   WAITING            until a link event that may be for it, or the timeout
 *
 * Nothing here blocks. Called by agent/rpc through network.h.
 */
#include "agent/network/network.h"

#include <stdlib.h>
#include <string.h>

#include "agent/network/absent.h"
#include "agent/network/events.h"
#include "agent/network/network_internal.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"

/* A driver that hangs may hold the kernel's lock. */
#define CHANGE_MS 30000
#define READ_MS   30000
#define TOOLS_MS  60000

struct network {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	uint64_t timeout_ms;
	struct job_lane changes;
	/* Operations with a job, and operations that wait for their interface. */
	struct list working, waiting;
	/* Active while an operation on an interface exists. */
	struct net_events events;
	struct net_ifindex_cache ifindex_cache;
	struct net_absent absent;
};

/* A kind of operation. */
struct net_op_kind {
	struct job_ops job;
	int (*work)(struct worker *w, struct net_task *task, struct error *err);
	uint64_t limit_ms;
	/* Runs in the lane of changes, and is not cancelled once it has begun. */
	bool changes;
	/* Waits for its interface. */
	bool waits;
};

struct net_op {
	struct list node;
	struct network *network;
	const struct net_op_kind *kind;
	struct net_task task;
	/* The context of the call that requested it. */
	struct log_context *log;
	/* NULL: it waits for its interface. */
	struct job *job;
	struct buf reply;
	struct pending pending;
	net_done_fn *done;
	void *data;
	/* The timeout of the wait for its interface. */
	struct timer *timer;
	/* Reported by the worker. */
	bool is_absent;
	/* An event arrived while the worker was looking. */
	bool is_due;
	/* Reported by the worker: it knew of the timeout. */
	bool is_last;
	/* Out of memory while receiving the reply. */
	bool is_incomplete;
};

static int net_op_start(struct net_op *op, struct error *err);

/* ---- link events ---- */

static void
net_op_free(struct net_op *op)
{
	list_remove(&op->node);
	timer_cancel(op->timer);
	if (op->kind->waits)
		net_events_end(&op->network->events);
	buf_release(&op->reply);
	net_task_release(&op->task);
	log_context_free(op->log);
	free(op);
}

static void
net_op_finish(struct net_op *op, const struct error *err)
{
	if (pending_end(&op->pending))
		op->done(err, &op->reply, op->data);
	net_op_free(op);
}

/* Returns whether the operation may be waiting for this interface. mac NULL: any may have
 * appeared. */
static bool
net_op_may_be(const struct net_op *op, const struct net_mac *mac)
{
	char name[IFNAMSIZ];

	if (!mac || (op->task.interface.mac.len > 0 && net_mac_equal(mac, &op->task.interface.mac)))
		return true;
	return op->task.interface.has_path &&
	       net_find_at_path(op->network->roots->sys, &op->task.interface.path, name);
}

/* Starts the job again, after all operations queued earlier. */
static void
net_op_again(struct net_op *op)
{
	struct error err = ERROR_INIT;

	if (net_op_start(op, &err) < 0)
		net_op_finish(op, &err);
}

/* Restarts the operations that may be waiting for this interface. A net_events_fn. */
static void
net_op_link_event(const struct net_mac *mac, void *data)
{
	struct network *n = data;
	struct list *pos, *tmp, due;

	list_init(&due);
	list_for_each (pos, &n->working) {
		struct net_op *op = list_entry(pos, struct net_op, node);

		if (op->kind->waits && job_has_begun(op->job) && net_op_may_be(op, mac))
			op->is_due = true;
	}
	list_for_each_safe (pos, tmp, &n->waiting) {
		struct net_op *op = list_entry(pos, struct net_op, node);

		if (net_op_may_be(op, mac)) {
			list_remove(&op->node);
			list_append(&due, &op->node);
		}
	}
	while (!list_is_empty(&due))
		net_op_again(list_entry(due.next, struct net_op, node));
}

/* ---- life cycle of an operation ---- */

static int
net_op_start(struct net_op *op, struct error *err)
{
	const struct roots *roots = op->network->roots;
	const int keep[] = { roots->proc, roots->sys, roots->root };
	const struct job_spec spec = {
		.ops = &op->kind->job,
		.arg = op,
		.data = op,
		.keep_fds = keep,
		.n_keep_fds = ARRAY_LEN(keep),
		.deadline_ms = op->kind->limit_ms,
		.lane = op->kind->changes ? &op->network->changes : NULL,
	};
	const struct log_context *former;

	op->is_absent = op->is_last = op->is_due = op->is_incomplete = false;
	op->reply.off = op->reply.len = 0;
	list_remove(&op->node);
	/* A link event of another call may start it. */
	former = log_context_set(op->log);
	op->job = job_start(op->network->jobs, &spec, err);
	(void)log_context_set(former);
	if (!op->job)
		return -1;
	list_append(&op->network->working, &op->node);
	return 0;
}

/* Looks one last time; if a worker is looking already, after that. */
static void
net_op_on_timeout(void *data)
{
	struct net_op *op = data;

	op->timer = NULL;
	op->task.is_last_look = true;
	if (!op->job)
		net_op_again(op);
	else
		op->is_due = job_has_begun(op->job);
}

/* Waits for the interface, which is absent, until the next event. */
static void
net_op_wait(struct net_op *op)
{
	if (op->is_due) {
		net_op_again(op);
		return;
	}
	list_remove(&op->node);
	list_append(&op->network->waiting, &op->node);
}

static void
net_op_ended(struct net_op *op, const struct error *err)
{
	struct error why = *err;

	if (err->code == ERROR_OK && op->is_incomplete) {
		error_nomem(&why, "receiving the reply");
	} else if (op->is_absent && err->code == ERROR_NOT_FOUND) {
		if (!op->is_last && pending_is_wanted(&op->pending)) {
			net_op_wait(op);
			return;
		}
		/* A cancelled call has not waited in full: the next one waits. */
		if (pending_is_wanted(&op->pending))
			net_absent_report(&op->network->absent, &op->task.interface,
					  op->network->timeout_ms, monotonic_ns(), &why);
	} else if (op->kind->waits && err->code == ERROR_OK) {
		net_absent_forget(&op->network->absent, &op->task.interface);
	}
	net_op_finish(op, &why);
}

static void
net_op_on_done(struct job *job, const struct error *err, void *data)
{
	struct net_op *op = data;

	(void)job;
	op->job = NULL;
	net_op_ended(op, err);
}

static int
net_op_take_data(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job;
	(void)err;
	if (buf_append(&op->reply, m->payload, m->size) < 0)
		op->is_incomplete = true;
	return 0;
}

static int
net_op_take_absent(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job;
	(void)err;
	op->is_absent = true;
	op->is_last = *(const uint8_t *)m->payload;
	return 0;
}

static int
net_op_take_seen(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job;
	(void)err;
	net_ifindex_cache_take(&op->network->ifindex_cache, m->payload, m->size);
	return 0;
}

static const struct job_message_type messages[] = {
	[NET_MESSAGE_DATA] = { .handler = net_op_take_data, .size_max = JOB_MESSAGE_MAX },
	[NET_MESSAGE_ABSENT] = { .handler = net_op_take_absent, .size = sizeof(uint8_t) },
	[NET_MESSAGE_SEEN] = { .handler = net_op_take_seen, .size_max = JOB_MESSAGE_MAX },
};

static int
net_op_work(struct worker *w, void *arg, struct error *err)
{
	struct net_op *op = arg;

	op->task.hint =
		net_ifindex_cache_find(&op->network->ifindex_cache, &op->task.interface.mac);
	return op->kind->work(w, &op->task, err);
}

#define NET_JOB(what)                                                      \
	{                                                                  \
		.name = (what), .work = net_op_work, .messages = messages, \
		.n_messages = ARRAY_LEN(messages), .done = net_op_on_done, \
	}

static const struct net_op_kind kind_interface = {
	.job = NET_JOB("update interface"),
	.work = net_interface_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
	.waits = true,
};

static const struct net_op_kind kind_routes = {
	.job = NET_JOB("update routes"),
	.work = net_routes_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
};

static const struct net_op_kind kind_neighbours = {
	.job = NET_JOB("add neighbours"),
	.work = net_neighbours_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
};

static const struct net_op_kind kind_list_interfaces = {
	.job = NET_JOB("list interfaces"),
	.work = net_list_interfaces_work,
	.limit_ms = READ_MS,
};

static const struct net_op_kind kind_list_routes = {
	.job = NET_JOB("list routes"),
	.work = net_list_routes_work,
	.limit_ms = READ_MS,
};

static const struct net_op_kind kind_get_iptables = {
	.job = NET_JOB("get iptables"),
	.work = net_get_iptables_work,
	.limit_ms = TOOLS_MS,
};

static const struct net_op_kind kind_set_iptables = {
	.job = NET_JOB("set iptables"),
	.work = net_set_iptables_work,
	.limit_ms = TOOLS_MS,
	.changes = true,
};

/* ---- public operations ---- */

struct network *
network_new(struct loop *loop, struct jobs *jobs, const struct roots *roots, uint64_t timeout_ms,
	    struct error *err)
{
	struct network *n = calloc(1, sizeof(*n));

	if (!n) {
		error_nomem(err, "creating the network module");
		return NULL;
	}
	n->loop = loop;
	n->jobs = jobs;
	n->roots = roots;
	n->timeout_ms = timeout_ms;
	net_events_init(&n->events, loop, net_op_link_event, n);
	list_init(&n->working);
	list_init(&n->waiting);
	return n;
}

static void
network_free_ops(struct list *ops)
{
	while (!list_is_empty(ops))
		net_op_free(list_entry(ops->next, struct net_op, node));
}

void
network_free(struct network *n)
{
	if (!n)
		return;
	network_free_ops(&n->working);
	network_free_ops(&n->waiting);
	net_ifindex_cache_release(&n->ifindex_cache);
	free(n);
}

/* Cancels the operation, unless it is changing something: then it completes. */
static void
net_op_unwanted(struct pending *p)
{
	struct net_op *op = pending_entry(p, struct net_op, pending);

	if (!op->job)
		net_op_free(op);
	else if (!op->kind->changes || !job_has_begun(op->job))
		job_cancel(op->job, ERROR_CANCELLED, "the call was cancelled");
}

static struct net_op *
net_op_new(struct network *n, const struct net_op_kind *kind, net_done_fn *done, void *data,
	   struct error *err)
{
	struct net_op *op = calloc(1, sizeof(*op));

	if (!op) {
		error_nomem(err, "starting a network operation");
		return NULL;
	}
	/* Before the first look, so that no event is missed. */
	if (kind->waits && net_events_begin(&n->events, err) < 0) {
		free(op);
		return NULL;
	}
	list_init(&op->node);
	op->network = n;
	op->kind = kind;
	op->task.roots = n->roots;
	op->log = log_context_copy();
	buf_init(&op->reply, NET_REPLY_MAX);
	op->pending.cancel = net_op_unwanted;
	op->done = done;
	op->data = data;
	return op;
}

/* Starts the operation. planned: the result of validating its request, 0 or -1 and err. */
static struct pending *
net_op_submit(struct net_op *op, int planned, struct error *err)
{
	struct network *n = op->network;

	if (planned == 0 && op->kind->waits) {
		op->task.is_last_look =
			net_absent_is_known(&n->absent, &op->task.interface, monotonic_ns());
		if (!op->task.is_last_look)
			op->timer = loop_timer(n->loop, n->timeout_ms, net_op_on_timeout, op, err);
		planned = op->timer || op->task.is_last_look ? 0 : -1;
	}
	if (planned < 0 || net_op_start(op, err) < 0) {
		net_op_free(op);
		return NULL;
	}
	return &op->pending;
}

struct pending *
network_update_interface(struct network *n, const struct net_interface_request *q,
			 net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_interface, done, data, err);

	return op ? net_op_submit(op, net_validate_interface(&op->task, q, err), err) : NULL;
}

struct pending *
network_update_routes(struct network *n, const struct net_route_request *routes, size_t count,
		      net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_routes, done, data, err);

	return op ? net_op_submit(op, net_validate_routes(&op->task, routes, count, err), err)
		  : NULL;
}

struct pending *
network_add_neighbours(struct network *n, const struct net_neighbour_request *list, size_t count,
		       net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_neighbours, done, data, err);

	return op ? net_op_submit(op, net_validate_neighbours(&op->task, list, count, err), err)
		  : NULL;
}

struct pending *
network_list_interfaces(struct network *n, net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_list_interfaces, done, data, err);

	return op ? net_op_submit(op, 0, err) : NULL;
}

struct pending *
network_list_routes(struct network *n, net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_list_routes, done, data, err);

	return op ? net_op_submit(op, 0, err) : NULL;
}

struct pending *
network_get_iptables(struct network *n, bool is_v6, net_done_fn *done, void *data,
		     struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_get_iptables, done, data, err);

	if (!op)
		return NULL;
	op->task.is_v6 = is_v6;
	return net_op_submit(op, 0, err);
}

struct pending *
network_set_iptables(struct network *n, bool is_v6, const void *rules, size_t size,
		     net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = net_op_new(n, &kind_set_iptables, done, data, err);

	if (!op)
		return NULL;
	op->task.is_v6 = is_v6;
	return net_op_submit(op, net_validate_rules(&op->task, rules, size, err), err);
}
