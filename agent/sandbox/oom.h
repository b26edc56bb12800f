/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills by the OOM killer, counted for each container until somebody takes them: each is given to one caller, none
 * is lost when nobody asks, and also not when its container is removed. Loop side: never blocks; nothing wakes up
 * while nothing happens.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

/* Removed containers whose kills nobody has taken yet: the oldest are forgotten, with a warning. */
#define OOM_REMOVED_MAX 100

/* A host asks once at a time. */
#define OOM_WAITERS_MAX 64

struct oom_events {
	struct loop *loop;
	struct list sources; /* those with untaken kills come up in turn */
	struct list waiters;
	unsigned int removed, n_waiters;
};

/* One container's. */
struct oom_source;

/* Whoever waits for the next one. done is called once, never from inside oom_take(). */
struct oom_waiter {
	struct list node;
	struct pending pending;
	struct oom_events *events;
	/* id lives only during the call, and is NULL if err says why there will be none. */
	void (*done)(struct oom_waiter *w, const char *id, const struct error *err);
};

void oom_init(struct oom_events *events, struct loop *loop);
/* Fails nobody: waiters are their owners'. */
void oom_release(struct oom_events *events);

/* Watches memory.events, which is `fd` (taken over), for the container `id`; kills up to now are `seen`. NULL and err. */
struct oom_source *oom_watch(struct oom_events *events, const char *id, int fd, uint64_t seen,
			     struct error *err);

/* Looks for kills now: before an end that they caused is told. NULL is allowed. */
void oom_check(struct oom_source *source);

/* The container's cgroup is going. What was not taken stays to be taken. NULL is allowed. */
void oom_unwatch(struct oom_source *source);

/* The id of a container in which one more process was killed (copied to id, of `size`): 0. Or 1, and w->pending waits. Or -1
 * and RESOURCE_EXHAUSTED: OOM_WAITERS_MAX do. */
int oom_take(struct oom_events *events, struct oom_waiter *w, char *id, size_t size,
	     struct error *err);

/* Nothing more will come: all who wait are told so. */
void oom_end(struct oom_events *events, const struct error *why);
