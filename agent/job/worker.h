/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of the agent's side of a job into the worker after the fork. Only agent/job/job.c calls
 * this. */
#pragma once

#include <stddef.h>

#include "agent/job/job.h"

struct worker_start {
	/* The worker's end. */
	int sock;
	/* Becomes 0, 1 and 2. */
	int dev_null;
	/* The kinds of steps, NULL-terminated. */
	const struct undo_kind *const *kinds;
	/* Each > 2, including sock. */
	const int *keep;
	size_t n_keep;
	job_work_fn *work;
	void *arg;
};

/* Runs in the child: closes all other fds, waits at the gate, works, reports, exits. */
_Noreturn void worker_enter(const struct worker_start *start);
