/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pressure.h. Called by agent/sandbox/sandbox.c.
 *
 *   idle --memory.high--> look (worker) --> pause --> look or idle
 *
 * The pause takes PAUSE_MS, or CALM_MS while a container is held.
 */
#include "agent/sandbox/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/cgroup/pressure.h"
#include "agent/sandbox/sandbox_internal.h"
#include "init/cgroups.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/log_event.h"

/* The kernel may OOM-kill several processes before a write of a limit returns. */
#define LOOK_MS  20000
#define PAUSE_MS 100
#define CALM_MS  5000
/* The number of containers that are compared. */
#define LOOK_MAX 1024

#define ID_SIZE 256

struct hold {
	struct list node;
	uint64_t limit, own;
	char id[ID_SIZE];
};

enum pressure_msg {
	/* payload: struct hold_message; waits for the agent */
	PRESSURE_MSG_HOLD = 1,
	/* The same payload: the container's own limit is in force again, or its cgroup is gone. */
	PRESSURE_MSG_RELEASE = 2,
};

/* The layout has no padding, which would be sent uninitialised. */
struct hold_message {
	uint64_t limit, own;
	char id[ID_SIZE];
};

static void pressure_on_event(uint32_t events, void *data);
static void pressure_look(struct pressure *p);
static int pressure_take_hold(struct job *job, const struct job_message *message, void *data,
			      struct error *err);
static int pressure_take_release(struct job *job, const struct job_message *message, void *data,
				 struct error *err);
static void pressure_on_done(struct job *job, const struct error *err, void *data);
static void pressure_pause(struct pressure *p);
static int pressure_work(struct worker *w, void *arg, struct error *err);
static int pressure_send(struct worker *w, uint32_t type, const char *id, uint64_t limit,
			 uint64_t own, struct error *err);
static int pressure_restore(struct worker *w, const struct pressure *p, struct error *err);

static struct hold *
pressure_find(const struct pressure *p, const char *id)
{
	struct list *pos;

	list_for_each (pos, &p->holds) {
		struct hold *h = list_entry(pos, struct hold, node);

		if (strcmp(h->id, id) == 0)
			return h;
	}
	return NULL;
}

static void
pressure_drop(struct hold *h)
{
	list_remove(&h->node);
	free(h);
}

/* ---- on the loop ---- */

void
pressure_start(struct pressure *p, struct sandbox *s)
{
	const struct roots *roots = s->parts.roots;
	struct error err = ERROR_INIT;

	*p = (struct pressure){ .s = s, .fd = -1 };
	list_init(&p->holds);
	if (!roots || roots->cgroup < 0)
		return;
	p->fd = openat(roots->cgroup, CGROUP_PODS "/memory.events.local", O_RDONLY | O_CLOEXEC);
	if (p->fd < 0 || pressure_events(p->fd, &p->seen) < 0)
		return;
	p->watch = loop_watch(s->parts.loop, p->fd, EPOLLPRI, pressure_on_event, p, &err);
	if (!p->watch)
		log_warn("sandbox", "failed to watch the pods' memory: %s", err.msg);
}

static void
pressure_on_event(uint32_t events, void *data)
{
	struct pressure *p = data;
	uint64_t n;

	(void)events;
	if (pressure_events(p->fd, &n) < 0) {
		loop_unwatch(p->watch);
		p->watch = NULL;
		return;
	}
	if (n == p->seen)
		return;
	/* The end of the running look reads the counter; the pause between two looks is kept. */
	if (p->job || (p->timer && p->again))
		return;
	p->seen = n;
	p->again = true;
	/* The timer may be the long one of a held container; memory pressure is handled now. */
	timer_cancel(p->timer);
	p->timer = NULL;
	pressure_look(p);
}

static const struct job_message_type pressure_messages[] = {
	[PRESSURE_MSG_HOLD] = { .handler = pressure_take_hold,
				.size = sizeof(struct hold_message) },
	[PRESSURE_MSG_RELEASE] = { .handler = pressure_take_release,
				   .size = sizeof(struct hold_message) },
};

static const struct job_ops pressure_job = {
	.name = "limit the container that uses the most memory",
	.work = pressure_work,
	.messages = pressure_messages,
	.n_messages = ARRAY_LEN(pressure_messages),
	.done = pressure_on_done,
};

static void
pressure_look(struct pressure *p)
{
	struct error err = ERROR_INIT;
	const int keep[] = { p->s->parts.roots->cgroup };
	const struct job_spec job = {
		.ops = &pressure_job,
		.arg = p,
		.data = p,
		.keep_fds = keep,
		.n_keep_fds = 1,
		.deadline_ms = LOOK_MS,
		.flags = JOB_URGENT,
	};

	p->job = job_start(p->s->parts.jobs, &job, &err);
	if (p->job)
		return;
	log_warn("sandbox", "failed to watch the pods' memory: %s", err.msg);
	pressure_pause(p);
}

static struct hold_message
pressure_read(const struct job_message *message)
{
	struct hold_message m;

	memcpy(&m, message->payload, sizeof(m));
	m.id[ID_SIZE - 1] = '\0';
	return m;
}

static int
pressure_take_hold(struct job *job, const struct job_message *message, void *data,
		   struct error *err)
{
	struct pressure *p = data;
	const struct hold_message m = pressure_read(message);
	struct hold *h = pressure_find(p, m.id);

	(void)job;
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return error_nomem(err, "limiting a container's memory");
		memcpy(h->id, m.id, sizeof(h->id));
		list_append(&p->holds, &h->node);
	}
	h->limit = m.limit;
	h->own = m.own;
	return 0;
}

static int
pressure_take_release(struct job *job, const struct job_message *message, void *data,
		      struct error *err)
{
	const struct hold_message m = pressure_read(message);
	struct hold *h = pressure_find(data, m.id);

	(void)job;
	(void)err;
	if (h)
		pressure_drop(h);
	return 0;
}

static void
pressure_on_done(struct job *job, const struct error *err, void *data)
{
	struct pressure *p = data;
	uint64_t n;

	(void)job;
	p->job = NULL;
	if (err->code != ERROR_OK)
		log_warn("sandbox", "failed to watch the pods' memory: %s", err->msg);
	p->again = pressure_events(p->fd, &n) == 0 && n != p->seen;
	if (p->again)
		p->seen = n;
	pressure_pause(p);
}

static void
pressure_on_timer(void *data)
{
	struct pressure *p = data;

	p->timer = NULL;
	if (p->again || !list_is_empty(&p->holds))
		pressure_look(p);
}

static void
pressure_pause(struct pressure *p)
{
	struct error err = ERROR_INIT;

	if (!p->again && list_is_empty(&p->holds))
		return;
	p->timer = loop_timer(p->s->parts.loop, p->again ? PAUSE_MS : CALM_MS, pressure_on_timer, p,
			      &err);
	if (!p->timer)
		log_warn("sandbox", "failed to watch the pods' memory: %s", err.msg);
}

void
pressure_release(struct pressure *p)
{
	loop_unwatch(p->watch);
	timer_cancel(p->timer);
	close_fd(&p->fd);
	while (!list_is_empty(&p->holds))
		pressure_drop(list_entry(p->holds.next, struct hold, node));
}

/* ---- in the worker ---- */

static int
pressure_work(struct worker *w, void *arg, struct error *err)
{
	const struct pressure *p = arg;
	int root = p->s->parts.roots->cgroup;
	const struct container *list[LOOK_MAX];
	struct pressure_cgroup cgroups[LOOK_MAX];
	struct pressure_choice choice;
	struct log_field fields[] = { { "container-id", NULL }, { "bytes", NULL } };
	const struct hold *before;
	char limit[24];
	struct list *pos;
	size_t n = 0;
	int found;

	if (pressure_restore(w, p, err) < 0)
		return -1;
	if (!p->again)
		return 0;
	list_for_each (pos, &p->s->containers) {
		const struct container *c = list_entry(pos, struct container, node);

		if (n == LOOK_MAX || !c->cgroup_path || strlen(c->id) >= ID_SIZE)
			continue;
		list[n] = c;
		cgroups[n++] = (struct pressure_cgroup){
			.path = c->cgroup_path,
			.is_held = pressure_find(p, c->id) != NULL,
		};
	}
	found = pressure_choose(root, cgroups, n, &choice);
	if (found < 0)
		return error_sys(err, "failed to read the memory usage below cgroup " CGROUP_PODS);
	if (found == 0)
		return 0;
	before = pressure_find(p, list[choice.index]->id);
	/* The hold is recorded before the write: if this worker is killed, the limit is still
	 * restored later. */
	if (pressure_send(w, PRESSURE_MSG_HOLD, list[choice.index]->id, choice.limit,
			  before && before->limit == choice.own ? before->own : choice.own,
			  err) < 0)
		return -1;
	fields[0].value = list[choice.index]->id;
	fields[1].value = limit;
	(void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)choice.limit);
	worker_event(w, LOG_LEVEL_WARN, EVENT_MEMORY_HELD, fields, ARRAY_LEN(fields),
		     "the pods are short of memory: container %s, the largest, limited to %llu MiB",
		     fields[0].value, (unsigned long long)(choice.limit >> 20));
	if (pressure_set_limit(root, cgroups[choice.index].path, choice.limit) < 0 &&
	    errno != ENOENT)
		return error_sys(err, "failed to limit the memory of container %s",
				 list[choice.index]->id);
	return 0;
}

static int
pressure_send(struct worker *w, uint32_t type, const char *id, uint64_t limit, uint64_t own,
	      struct error *err)
{
	struct hold_message m = { .limit = limit, .own = own };

	(void)snprintf(m.id, sizeof(m.id), "%s", id);
	return worker_send(w, type, &m, sizeof(m), NULL, 0, true, err);
}

/* Restores the limits of the containers that are no longer over theirs. */
static int
pressure_restore(struct worker *w, const struct pressure *p, struct error *err)
{
	int root = p->s->parts.roots->cgroup;
	struct list *pos;

	list_for_each (pos, &p->holds) {
		const struct hold *h = list_entry(pos, struct hold, node);
		const struct container *c = sandbox_find(p->s, h->id);
		const struct log_field container = { "container-id", h->id };
		bool mine = false, is_set;

		if (c && !pressure_is_over(root, c->cgroup_path, h->limit, &mine))
			continue;
		is_set = mine && pressure_set_limit(root, c->cgroup_path, h->own) == 0;
		if (mine && !is_set && errno != ENOENT) {
			/* The hold stays recorded, so that the next look tries again. */
			worker_log(w, LOG_LEVEL_WARN,
				   "failed to give container %s its own memory limit: %s", h->id,
				   strerror(errno));
			continue;
		}
		if (is_set)
			worker_event(w, LOG_LEVEL_INFO, EVENT_MEMORY_RELEASED, &container, 1,
				     "container %s: own memory limit restored", h->id);
		if (pressure_send(w, PRESSURE_MSG_RELEASE, h->id, 0, 0, err) < 0)
			return -1;
	}
	return 0;
}
