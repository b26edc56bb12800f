/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory agent: when nothing in the guest waits for memory, it takes back what containers have not used for a while
 * (memory.reclaim), and brings free memory together again (compaction), so that a balloon or the next huge page finds some.
 * Whoever is held up by that stops it: by pressure stall information, as the kernel tells it. Loop side: never blocks; the
 * work is a job's. Off unless it is asked for.
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

/* -1 and INVALID_ARGUMENT, naming the field. */
int memagent_check_reclaim(const struct memagent_reclaim *r, struct error *err);
int memagent_check_compact(const struct memagent_compact *c, struct error *err);

/* Calls add for the cgroup of each container, a path below the cgroup root. */
typedef void memagent_list_fn(void *list_data, void (*add)(const char *path, void *data),
			      void *data);

struct memagent_parts {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	memagent_list_fn *list;
	void *list_data;
};

/* Begins at once with the first periods. Where the kernel lacks what it needs, it says so once and does nothing. */
struct memagent *memagent_new(const struct memagent_parts *parts, const struct memagent_reclaim *r,
			      const struct memagent_compact *c, struct error *err);

/* After jobs_free(). NULL is allowed. */
void memagent_free(struct memagent *m);

const struct memagent_reclaim *memagent_reclaim_settings(const struct memagent *m);
const struct memagent_compact *memagent_compact_settings(const struct memagent *m);

/* New settings hold from now on: what runs goes on with the former ones, a period begins anew. */
int memagent_set_reclaim(struct memagent *m, const struct memagent_reclaim *r, struct error *err);
int memagent_set_compact(struct memagent *m, const struct memagent_compact *c, struct error *err);

/* What it has done so far, for the metrics. */
struct memagent_counts {
	uint64_t reclaim_runs, reclaimed_bytes, reclaim_stopped; /* stopped: by pressure */
	uint64_t compact_runs, compact_stopped;
};
struct memagent_counts memagent_counts(const struct memagent *m);
