/* SPDX-License-Identifier: Apache-2.0 */
/* How the agent's side of a job enters the worker after the fork. Only agent/job/job.c calls
 * this. */
#pragma once

#include <stddef.h>

#include "agent/job/job.h"

struct worker_start {
	/* the worker's end */
	int sock;
	/* becomes 0, 1 and 2 */
	int dev_null;
	/* Of steps; the last one is NULL. */
	const struct undo_kind *const *kinds;
	/* each > 2; sock is among them */
	const int *keep;
	size_t n_keep;
	job_work_fn *work;
	void *arg;
};

/* In the child: closes everything else, waits at the gate, works, reports, exits. */
_Noreturn void worker_enter(const struct worker_start *start);
