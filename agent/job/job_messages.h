/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a job's worker. Never blocks. */
#pragma once

struct job;

enum drained {
	/* Nothing is left for now, or `max` messages were handled. */
	DRAINED,
	/* The worker's end is closed. */
	DRAINED_EOF,
	/* The worker has reported its result, which is job->err. */
	DRAINED_RESULT,
	/* The worker violates the protocol, or the job's state is no longer reliable: it must be
	 * stopped. job->err says why. */
	DRAINED_ABORT,
};

/* Receives up to `max` messages of the worker and passes them to the job's callbacks. */
enum drained job_drain(struct job *job, unsigned int max);
