/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory agent: while no task waits for memory, it reclaims memory that containers have not
 * used for a while (memory.reclaim) and compacts free memory, so that a balloon or a huge page can
 * have it. It stops as soon as the kernel's pressure stall information shows that tasks are
 * delayed. Off by default. Loop side: never blocks; the work is done by jobs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest/memagent_settings.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
struct memagent;

/* Check settings. Return 0, or -1 and INVALID_ARGUMENT naming the field. */
int memagent_check_reclaim(const struct memagent_reclaim *r, struct error *err);
int memagent_check_compact(const struct memagent_compact *c, struct error *err);

/* Calls add for the cgroup of each container, as a path below the cgroup root. */
typedef void memagent_list_fn(void *list_data, void (*add)(const char *path, void *data),
			      void *data);

struct memagent_parts {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	memagent_list_fn *list;
	void *list_data;
};

/* Starts the first periods. If the kernel lacks a feature, a warning is logged once and nothing is
 * done. Returns NULL and sets err for invalid settings or if memory runs out. The members of parts
 * must outlive the memory agent. */
struct memagent *memagent_new(const struct memagent_parts *parts, const struct memagent_reclaim *r,
			      const struct memagent_compact *c, struct error *err);

/* Must be called after jobs_free(). NULL is allowed. */
void memagent_free(struct memagent *m);

/* Return the current settings, which stay owned by the memory agent. */
const struct memagent_reclaim *memagent_reclaim_settings(const struct memagent *m);
const struct memagent_compact *memagent_compact_settings(const struct memagent *m);

/* Change the settings and start a new period. A job that runs keeps the old ones. Return 0, or -1
 * and INVALID_ARGUMENT. */
int memagent_set_reclaim(struct memagent *m, const struct memagent_reclaim *r, struct error *err);
int memagent_set_compact(struct memagent *m, const struct memagent_compact *c, struct error *err);

/* Counters for the metrics, since the start. */
struct memagent_counts {
	/* stopped: by memory pressure */
	uint64_t reclaim_runs, reclaimed_bytes, reclaim_stopped;
	uint64_t compact_runs, compact_stopped;
};
struct memagent_counts memagent_counts(const struct memagent *m);
