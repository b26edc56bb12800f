/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivers OOM kills from memory.events to the callers waiting for them. Called by the sandbox and,
 * through it, by GetOOMEvent. The states of a source:
 *
 *   watched --container removed--> kept while kills are untaken --> freed
 *
 * At most OOM_REMOVED_MAX sources are kept.
 */
#include "agent/sandbox/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/cgroup/oom.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/log_event.h"

struct oom_source {
	struct list node;
	struct oom_events *events;
	struct watch *watch;
	/* memory.events; -1: the container was removed. */
	int fd;
	uint64_t seen, untaken;
	char id[];
};

static void oom_source_free(struct oom_source *s);
static void oom_log_kills(const struct oom_source *s, uint64_t kills);
static void oom_deliver(struct oom_source *s);
static void oom_on_changed(uint32_t events, void *data);
static void oom_forget(struct oom_events *events);
static void oom_waiter_cancel(struct pending *p);

static struct oom_source *
oom_source_of(struct list *node)
{
	return list_entry(node, struct oom_source, node);
}

static void
oom_waiter_end(struct oom_waiter *w)
{
	(void)pending_end(&w->pending);
	list_remove(&w->node);
	w->events->n_waiters--;
}

void
oom_init(struct oom_events *events, struct loop *loop)
{
	*events = (struct oom_events){ .loop = loop };
	list_init(&events->sources);
	list_init(&events->waiters);
}

void
oom_release(struct oom_events *events)
{
	while (!list_is_empty(&events->sources))
		oom_source_free(oom_source_of(events->sources.next));
}

static void
oom_source_close(struct oom_source *s)
{
	loop_unwatch(s->watch);
	s->watch = NULL;
	close_fd(&s->fd);
}

static void
oom_source_free(struct oom_source *s)
{
	oom_source_close(s);
	list_remove(&s->node);
	free(s);
}

void
oom_check(struct oom_source *s)
{
	uint64_t kills;

	if (!s || s->fd < 0)
		return;
	if (cgroup_oom_kills(s->fd, &kills) < 0) {
		/* The cgroup is gone; its file would stay readable forever. */
		loop_unwatch(s->watch);
		s->watch = NULL;
		return;
	}
	if (kills <= s->seen)
		return;
	oom_log_kills(s, kills - s->seen);
	s->untaken += kills - s->seen;
	s->seen = kills;
	oom_deliver(s);
}

static void
oom_log_kills(const struct oom_source *s, uint64_t kills)
{
	char count[24];
	const struct log_field fields[] = { { "container-id", s->id }, { "kills", count } };

	(void)snprintf(count, sizeof(count), "%llu", (unsigned long long)kills);
	log_event(LOG_LEVEL_INFO, "sandbox", EVENT_OOM_KILL, fields, ARRAY_LEN(fields),
		  "container %s: out of memory, %s killed", s->id, count);
}

/* Counts one kill of this source as taken and moves the source behind the others. */
static void
oom_count_taken(struct oom_source *s)
{
	struct oom_events *events = s->events;

	s->untaken--;
	list_remove(&s->node);
	list_append(&events->sources, &s->node);
	if (s->untaken || s->fd >= 0)
		return;
	events->removed--;
	oom_source_free(s);
}

/* Delivers the source's kills to the waiters. */
static void
oom_deliver(struct oom_source *s)
{
	struct oom_events *events = s->events;
	struct error none = ERROR_INIT;

	while (s->untaken && !list_is_empty(&events->waiters)) {
		struct oom_waiter *w = list_entry(events->waiters.next, struct oom_waiter, node);

		oom_waiter_end(w);
		/* This does not free a source that is still watched. */
		oom_count_taken(s);
		w->done(w, s->id, &none);
	}
}

struct oom_source *
oom_watch(struct oom_events *events, const char *id, int fd, uint64_t seen, struct error *err)
{
	size_t size = strlen(id) + 1;
	struct oom_source *s = calloc(1, sizeof(*s) + size);

	if (!s) {
		close_fd(&fd);
		error_nomem(err, "watching for OOM kills");
		return NULL;
	}
	*s = (struct oom_source){ .events = events, .fd = fd, .seen = seen };
	memcpy(s->id, id, size);
	list_append(&events->sources, &s->node);
	s->watch = loop_watch(events->loop, fd, EPOLLPRI, oom_on_changed, s, err);
	if (!s->watch) {
		oom_source_free(s);
		return NULL;
	}
	return s;
}

static void
oom_on_changed(uint32_t events, void *data)
{
	(void)events;
	oom_check(data);
}

void
oom_unwatch(struct oom_source *s)
{
	if (!s)
		return;
	oom_check(s);
	if (!s->untaken) {
		oom_source_free(s);
		return;
	}
	oom_source_close(s);
	if (++s->events->removed > OOM_REMOVED_MAX)
		oom_forget(s->events);
}

/* Frees the source of the container that was removed first. */
static void
oom_forget(struct oom_events *events)
{
	struct list *pos;

	list_for_each (pos, &events->sources) {
		struct oom_source *s = oom_source_of(pos);

		if (s->fd >= 0)
			continue;
		log_warn("sandbox",
			 "container %s: dropping %llu OOM kills that no caller asked for", s->id,
			 (unsigned long long)s->untaken);
		events->removed--;
		oom_source_free(s);
		return;
	}
}

int
oom_take(struct oom_events *events, struct oom_waiter *w, char *id, size_t size, struct error *err)
{
	struct list *pos;

	list_init(&w->node);
	list_for_each (pos, &events->sources) {
		struct oom_source *s = oom_source_of(pos);

		if (!s->untaken || strlen(s->id) >= size)
			continue;
		memcpy(id, s->id, strlen(s->id) + 1);
		oom_count_taken(s);
		return 0;
	}
	if (events->n_waiters >= OOM_WAITERS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "limit of %d calls waiting for OOM kills reached",
				 OOM_WAITERS_MAX);
	w->events = events;
	w->pending.cancel = oom_waiter_cancel;
	list_append(&events->waiters, &w->node);
	events->n_waiters++;
	return 1;
}

static void
oom_waiter_cancel(struct pending *p)
{
	oom_waiter_end(pending_entry(p, struct oom_waiter, pending));
}

void
oom_end(struct oom_events *events, const struct error *why)
{
	while (!list_is_empty(&events->waiters)) {
		struct oom_waiter *w = list_entry(events->waiters.next, struct oom_waiter, node);

		oom_waiter_end(w);
		w->done(w, NULL, why);
	}
}
