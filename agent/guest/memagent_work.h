/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory agent does in workers, and how it reads the kernel's figures. Only for agent/guest/memagent*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest/memagent_settings.h"
#include "agent/job/job.h"

#define MEMAGENT_TARGETS_MAX 256
#define MEMAGENT_PATH_MAX    512

/* A container between two periods. */
struct memagent_target {
	char path[MEMAGENT_PATH_MAX]; /* of its cgroup */
	uint64_t stalled_usec;        /* in all, of memory and io, when it was last looked at */
	uint64_t quiet;               /* periods in a row without pressure */
	bool is_known;                /* stalled_usec says something */
	/* what a worker brings back */
	uint64_t reclaimed; /* bytes */
	bool stopped;       /* by pressure */
	bool seen;          /* it still exists */
};

struct memagent_reclaim_work {
	int cgroup, proc;
	struct memagent_reclaim settings;
	uint64_t elapsed_usec; /* since the last period */
	struct memagent_target *targets;
	size_t n;
};

enum memagent_msg {
	MEMAGENT_MSG_TARGET = 1, /* payload: struct memagent_reply */
};

struct memagent_reply {
	uint64_t index, stalled_usec, quiet, reclaimed;
	uint32_t stopped, unused;
};

/* Looks at one container at the end of a period, and takes from it what it does not use, if it has been quiet for long
 * enough. */
void memagent_look_at(const struct memagent_reclaim_work *work, struct memagent_target *t);

/* job_work_fn: arg is a struct memagent_reclaim_work. */
int memagent_reclaim_work(struct worker *w, void *arg, struct error *err);

/* job_work_fn: arg points to the fd of /proc. Returns when all of the memory was gone through. */
int memagent_compact_work(struct worker *w, void *arg, struct error *err);

/* The total of "some", in microseconds, of a pressure file below dirfd. false: there is none. */
bool memagent_stalled(int dirfd, const char *path, uint64_t *usec);

/* Free pages in blocks of fewer than 2^order (proc_buddyinfo(5)). false: the kernel does not tell. */
bool memagent_fragments(int proc, uint32_t order, uint64_t *pages);

/* Opens a pressure file and asks to be told (POLLPRI) when tasks wait for more than `percent` of a second. fd or -1. */
int memagent_trigger(int dirfd, const char *path, uint32_t percent);

/* Does it fire within that time? Waits for it all where there is none (-1), too. */
bool memagent_fired(int fd, int timeout_ms);
