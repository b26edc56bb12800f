/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OOM kills, counted per container until a caller takes them. Each kill is delivered to one caller;
 * kills are kept while no caller asks and after the container was removed. Loop side: never blocks,
 * and does not wake up the agent while nothing happens.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

/* The number of removed containers whose kills are kept. Beyond it, the oldest are dropped with a
 * warning. */
#define OOM_REMOVED_MAX 100

/* The number of callers that may wait. A host waits with one call at a time. */
#define OOM_WAITERS_MAX 64

struct oom_events {
	struct loop *loop;
	/* Sources with untaken kills take turns. */
	struct list sources;
	struct list waiters;
	unsigned int removed, n_waiters;
};

/* The OOM kills of one container. */
struct oom_source;

/* A caller waiting for the next kill. `done` is called once, never from inside oom_take(). */
struct oom_waiter {
	struct list node;
	struct pending pending;
	struct oom_events *events;
	/* `id` is valid only during the call; it is NULL if there will be no kill, and err says
	 * why. */
	void (*done)(struct oom_waiter *w, const char *id, const struct error *err);
};

void oom_init(struct oom_events *events, struct loop *loop);
/* Releases everything but the waiters, which belong to their callers and are not called. */
void oom_release(struct oom_events *events);

/* Starts to watch `fd` (the cgroup's memory.events; taken over) for the container `id`.
 * Kills up to `seen` are ignored. Returns the source, or NULL and err. */
struct oom_source *oom_watch(struct oom_events *events, const char *id, int fd, uint64_t seen,
			     struct error *err);

/* Reads the counter now, so that a kill is delivered before the exit that it caused. `source` may
 * be NULL. */
void oom_check(struct oom_source *source);

/* Stops watching, because the container's cgroup is being removed. Untaken kills remain available.
 * `source` may be NULL. */
void oom_unwatch(struct oom_source *source);

/* Takes one kill. Returns 0 with the container's id in `id` (of `size` bytes); 1 if there is none
 * and w->pending waits; or -1 and RESOURCE_EXHAUSTED if OOM_WAITERS_MAX callers wait already. */
int oom_take(struct oom_events *events, struct oom_waiter *w, char *id, size_t size,
	     struct error *err);

/* Fails all waiters with `why`: no more kills will be delivered. */
void oom_end(struct oom_events *events, const struct error *why);
