/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the guest's network, on the loop: which runs, which waits for its turn, and which for an interface.
 *
 *   what changes something:  QUEUED -> RUNNING -> done
 *                              ^         |  the interface is not there
 *                              +------ WAITING          until a link event that may be it, or the time is over
 *   what reads:                        RUNNING -> done   any number, beside all of this
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

#define CHANGE_MS 30000 /* the kernel's lock may be held by a driver that hangs */
#define READ_MS   30000
#define TOOLS_MS  60000

struct network {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	uint64_t timeout_ms;
	struct net_op *running; /* that changes something */
	struct list queued, waiting, reading;
	struct net_events events; /* while an operation on an interface lasts */
	struct net_ifindex_cache ifindex_cache;
	struct net_absent absent;
};

/* One kind of operation. */
struct kind {
	struct job_ops job;
	int (*work)(struct worker *w, struct net_task *task, struct error *err);
	uint64_t limit_ms;
	bool changes; /* one after the other, and not to be stopped half-way */
	bool waits;   /* for its interface */
};

enum net_state {
	NET_QUEUED,
	NET_RUNNING,
	NET_WAITING,
	NET_READING,
};

struct net_op {
	struct list node;
	struct network *network;
	const struct kind *kind;
	enum net_state state;
	struct net_task task;
	struct log_context *log; /* of the call that asks for it */
	struct job *job;         /* while it runs */
	struct buf reply;
	struct pending pending;
	net_done_fn *done;
	void *data;
	struct timer *timer; /* for its interface */
	bool is_absent;      /* says the worker */
	bool is_due;         /* an event came while the worker was looking */
	bool is_last;        /* the worker knows that the time is over */
	bool is_incomplete;  /* there was no memory for the reply */
};

static void network_next(struct network *n);

/* ---- link events ---- */

static void
op_free(struct net_op *op)
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
op_finish(struct net_op *op, const struct error *err)
{
	if (pending_end(&op->pending))
		op->done(err, &op->reply, op->data);
	op_free(op);
}

/* May this be what it waits for? mac NULL: anything may have come. */
static bool
may_be(const struct net_op *op, const struct net_mac *mac)
{
	char name[IFNAMSIZ];

	if (!mac || (op->task.interface.mac.len > 0 && net_mac_equal(mac, &op->task.interface.mac)))
		return true;
	return op->task.interface.has_path &&
	       net_find_at_path(op->network->roots->sys, &op->task.interface.path, name);
}

static void
op_queue(struct net_op *op)
{
	op->state = NET_QUEUED;
	list_remove(&op->node);
	list_append(&op->network->queued, &op->node);
}

/* net_events_fn. Who waits for what has come looks again. */
static void
link_has_come(const struct net_mac *mac, void *data)
{
	struct network *n = data;
	struct list *pos, *tmp;

	if (n->running && n->running->kind->waits && may_be(n->running, mac))
		n->running->is_due = true;
	list_for_each_safe (pos, tmp, &n->waiting) {
		struct net_op *op = list_entry(pos, struct net_op, node);

		if (may_be(op, mac))
			op_queue(op);
	}
	network_next(n);
}

/* ---- an operation's way ---- */

static int
op_start(struct net_op *op, struct error *err)
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
	};
	const struct log_context *former;

	op->is_absent = op->is_due = op->is_incomplete = false;
	op->is_last = op->task.is_last_look;
	op->task.hint =
		net_ifindex_cache_find(&op->network->ifindex_cache, &op->task.interface.mac);
	op->reply.off = op->reply.len = 0;
	/* it may be started when another call's operation has ended, or by an event */
	former = log_context_set(op->log);
	op->job = job_start(op->network->jobs, &spec, err);
	(void)log_context_set(former);
	if (!op->job)
		return -1;
	op->state = op->kind->changes ? NET_RUNNING : NET_READING;
	return 0;
}

/* The next of those that change something. */
static void
network_next(struct network *n)
{
	while (!n->running && !list_is_empty(&n->queued)) {
		struct net_op *op = list_entry(n->queued.next, struct net_op, node);
		struct error err = ERROR_INIT;

		list_remove(&op->node);
		if (op_start(op, &err) == 0)
			n->running = op;
		else
			op_finish(op, &err);
	}
}

/* One that is being looked for just now is looked for once more when that is over. */
static void
network_on_timeout(void *data)
{
	struct net_op *op = data;

	op->timer = NULL;
	op->task.is_last_look = true;
	op->is_due = true;
	if (op->state != NET_WAITING)
		return;
	op_queue(op);
	network_next(op->network);
}

/* Its interface is not there: again when something comes. */
static void
op_wait(struct net_op *op)
{
	if (op->is_due) {
		op_queue(op);
		return;
	}
	op->state = NET_WAITING;
	list_append(&op->network->waiting, &op->node);
}

static void
op_ended(struct net_op *op, const struct error *err)
{
	struct error why = *err;

	if (err->code == ERROR_OK && op->is_incomplete) {
		error_nomem(&why, "taking the reply");
	} else if (op->is_absent && err->code == ERROR_NOT_FOUND) {
		if (!op->is_last && pending_is_wanted(&op->pending)) {
			op_wait(op);
			return;
		}
		/* a call that was given up has not waited: the next one does */
		if (pending_is_wanted(&op->pending))
			net_absent_report(&op->network->absent, &op->task.interface,
					  op->network->timeout_ms, monotonic_ns(), &why);
	} else if (op->kind->waits && err->code == ERROR_OK) {
		net_absent_forget(&op->network->absent, &op->task.interface);
	}
	op_finish(op, &why);
}

static void
on_job_done(struct job *job, const struct error *err, void *data)
{
	struct net_op *op = data;
	struct network *n = op->network;

	(void)job;
	op->job = NULL;
	if (n->running == op)
		n->running = NULL;
	op_ended(op, err);
	network_next(n);
}

static int
take_data(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job;
	(void)err;
	if (buf_append(&op->reply, m->payload, m->size) < 0)
		op->is_incomplete = true;
	return 0;
}

static int
take_absent(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job, (void)m, (void)err;
	op->is_absent = true;
	return 0;
}

static int
take_seen(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct net_op *op = data;

	(void)job;
	(void)err;
	net_ifindex_cache_take(&op->network->ifindex_cache, m->payload, m->size);
	return 0;
}

static const struct job_message_type messages[] = {
	[NET_MESSAGE_DATA] = { .handler = take_data, .size_max = JOB_MESSAGE_MAX },
	[NET_MESSAGE_ABSENT] = { .handler = take_absent },
	[NET_MESSAGE_SEEN] = { .handler = take_seen, .size_max = JOB_MESSAGE_MAX },
};

static int
op_work(struct worker *w, void *arg, struct error *err)
{
	struct net_op *op = arg;

	return op->kind->work(w, &op->task, err);
}

#define JOB(what)                                                       \
	{                                                               \
		.name = (what), .work = op_work, .messages = messages,  \
		.n_messages = ARRAY_LEN(messages), .done = on_job_done, \
	}

static const struct kind kind_interface = {
	.job = JOB("update interface"),
	.work = net_interface_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
	.waits = true,
};

static const struct kind kind_routes = {
	.job = JOB("update routes"),
	.work = net_routes_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
};

static const struct kind kind_neighbours = {
	.job = JOB("add neighbours"),
	.work = net_neighbours_work,
	.limit_ms = CHANGE_MS,
	.changes = true,
};

static const struct kind kind_list_interfaces = {
	.job = JOB("list interfaces"),
	.work = net_list_interfaces_work,
	.limit_ms = READ_MS,
};

static const struct kind kind_list_routes = {
	.job = JOB("list routes"),
	.work = net_list_routes_work,
	.limit_ms = READ_MS,
};

static const struct kind kind_get_iptables = {
	.job = JOB("get iptables"),
	.work = net_get_iptables_work,
	.limit_ms = TOOLS_MS,
};

static const struct kind kind_set_iptables = {
	.job = JOB("set iptables"),
	.work = net_set_iptables_work,
	.limit_ms = TOOLS_MS,
	.changes = true,
};

/* ---- what others call ---- */

struct network *
network_new(struct loop *loop, struct jobs *jobs, const struct roots *roots, uint64_t timeout_ms,
	    struct error *err)
{
	struct network *n = calloc(1, sizeof(*n));

	if (!n) {
		error_nomem(err, "making the network's part");
		return NULL;
	}
	n->loop = loop;
	n->jobs = jobs;
	n->roots = roots;
	n->timeout_ms = timeout_ms;
	net_events_init(&n->events, loop, link_has_come, n);
	list_init(&n->queued);
	list_init(&n->waiting);
	list_init(&n->reading);
	return n;
}

static void
free_all(struct list *ops)
{
	while (!list_is_empty(ops))
		op_free(list_entry(ops->next, struct net_op, node));
}

void
network_free(struct network *n)
{
	if (!n)
		return;
	if (n->running)
		op_free(n->running);
	free_all(&n->queued);
	free_all(&n->waiting);
	free_all(&n->reading);
	net_ifindex_cache_release(&n->ifindex_cache);
	free(n);
}

/* What is changing something goes on. */
static void
op_unwanted(struct pending *p)
{
	struct net_op *op = pending_entry(p, struct net_op, pending);

	switch (op->state) {
	case NET_QUEUED:
	case NET_WAITING:
		op_free(op);
		return;
	case NET_READING:
		job_cancel(op->job, ERROR_CANCELLED, "nobody waits for it");
		return;
	case NET_RUNNING:
		return;
	}
}

static struct net_op *
op_new(struct network *n, const struct kind *kind, net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = calloc(1, sizeof(*op));

	if (!op) {
		error_nomem(err, kind->job.name);
		return NULL;
	}
	/* before the first look: what comes after it is not missed */
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
	op->pending.cancel = op_unwanted;
	op->done = done;
	op->data = data;
	return op;
}

/* Begins it, or puts it behind the others. planned: what came of its request. */
static struct pending *
op_submit(struct net_op *op, int planned, struct error *err)
{
	struct network *n = op->network;

	if (planned == 0 && op->kind->waits) {
		op->task.is_last_look =
			net_absent_is_known(&n->absent, &op->task.interface, monotonic_ns());
		if (!op->task.is_last_look)
			op->timer = loop_timer(n->loop, n->timeout_ms, network_on_timeout, op, err);
		planned = op->timer || op->task.is_last_look ? 0 : -1;
	}
	if (planned == 0 && op->kind->changes && (n->running || !list_is_empty(&n->queued))) {
		op_queue(op);
		return &op->pending;
	}
	if (planned < 0 || op_start(op, err) < 0) {
		op_free(op);
		return NULL;
	}
	if (op->kind->changes)
		n->running = op;
	else
		list_append(&n->reading, &op->node);
	return &op->pending;
}

struct pending *
network_update_interface(struct network *n, const struct net_interface_request *q,
			 net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_interface, done, data, err);

	return op ? op_submit(op, net_validate_interface(&op->task, q, err), err) : NULL;
}

struct pending *
network_update_routes(struct network *n, const struct net_route_request *routes, size_t count,
		      net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_routes, done, data, err);

	return op ? op_submit(op, net_validate_routes(&op->task, routes, count, err), err) : NULL;
}

struct pending *
network_add_neighbours(struct network *n, const struct net_neighbour_request *list, size_t count,
		       net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_neighbours, done, data, err);

	return op ? op_submit(op, net_validate_neighbours(&op->task, list, count, err), err) : NULL;
}

struct pending *
network_list_interfaces(struct network *n, net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_list_interfaces, done, data, err);

	return op ? op_submit(op, 0, err) : NULL;
}

struct pending *
network_list_routes(struct network *n, net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_list_routes, done, data, err);

	return op ? op_submit(op, 0, err) : NULL;
}

struct pending *
network_get_iptables(struct network *n, bool is_v6, net_done_fn *done, void *data,
		     struct error *err)
{
	struct net_op *op = op_new(n, &kind_get_iptables, done, data, err);

	if (!op)
		return NULL;
	op->task.is_v6 = is_v6;
	return op_submit(op, 0, err);
}

struct pending *
network_set_iptables(struct network *n, bool is_v6, const void *rules, size_t size,
		     net_done_fn *done, void *data, struct error *err)
{
	struct net_op *op = op_new(n, &kind_set_iptables, done, data, err);

	if (!op)
		return NULL;
	op->task.is_v6 = is_v6;
	return op_submit(op, net_validate_rules(&op->task, rules, size, err), err);
}
