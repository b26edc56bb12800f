/* SPDX-License-Identifier: Apache-2.0 */
/* The memory agent's work in workers, and its readers of kernel files. Only for
 * agent/guest/memagent*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest/memagent_settings.h"
#include "agent/job/worker.h"

#define MEMAGENT_TARGETS_MAX 256
#define MEMAGENT_PATH_MAX    512

/* The state of a container between two periods. */
struct memagent_target {
	/* of its cgroup */
	char path[MEMAGENT_PATH_MAX];
	/* total of memory and io at the end of the last period */
	uint64_t stalled_usec;
	/* periods in a row without pressure */
	uint64_t quiet;
	/* stalled_usec is valid */
	bool is_known;
	/* Results of the worker. */
	/* bytes */
	uint64_t reclaimed;
	/* by pressure */
	bool stopped;
	/* the cgroup exists */
	bool seen;
};

struct memagent_reclaim_work {
	int cgroup, proc;
	struct memagent_reclaim settings;
	/* since the last period */
	uint64_t elapsed_usec;
	struct memagent_target *targets;
	size_t n;
};

enum memagent_msg {
	/* payload: struct memagent_reply */
	MEMAGENT_MSG_TARGET = 1,
};

struct memagent_reply {
	uint64_t index, stalled_usec, quiet, reclaimed;
	uint32_t stopped, unused;
};

/* Updates one container at the end of a period, and reclaims its unused memory if it has been quiet
 * for long enough. */
void memagent_look_at(const struct memagent_reclaim_work *work, struct memagent_target *t);

/* Updates all containers (job_work_fn; arg is a struct memagent_reclaim_work). */
int memagent_reclaim_work(struct worker *w, void *arg, struct error *err);

/* Compacts all memory (job_work_fn; arg points to the descriptor of /proc). Blocks until that is
 * done. */
int memagent_compact_work(struct worker *w, void *arg, struct error *err);

/* Reads the total of "some", in microseconds, from a pressure file below dirfd. Returns false if
 * there is none. */
bool memagent_stalled(int dirfd, const char *path, uint64_t *usec);

/* Counts the free pages in blocks of fewer than 2^order pages (proc_buddyinfo(5)). Returns false if
 * that cannot be read. */
bool memagent_fragments(int proc, uint32_t order, uint64_t *pages);

/* Opens a pressure file with a trigger that fires (POLLPRI) when tasks are stalled for more than
 * `percent` of a second. Returns a descriptor, or -1. */
int memagent_trigger(int dirfd, const char *path, uint32_t percent);

/* Waits for a trigger (or, if fd is -1, for the whole time). Returns whether it fired. */
bool memagent_fired(int fd, int timeout_ms);
