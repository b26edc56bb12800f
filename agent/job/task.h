/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task: a job that needs only memory and fds of the agent and has one result of a fixed size. For
 * calls that make a single query or change that may block. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/job.h"
#include "lib/error.h"
#include "lib/pending.h"

#define TASK_RESULT_MAX 1024

struct task_class {
	/* For logs. */
	const char *name;
	/* Does the work; calls task_result() before it succeeds, if there is a result. */
	job_work_fn *work;
	/* Size of the result; 0: no result. */
	size_t result_size;
	uint64_t deadline_ms;
	/* The work changes something, so it completes when the task is cancelled. Otherwise its
	 * worker is killed. */
	bool changes;
	/* Frees the argument; NULL: free(). */
	void (*free_arg)(void *arg);
};

/* result: as sent by the worker, valid during the call; NULL unless err->code is ERROR_OK and there
 * is one. */
typedef void task_done_fn(const struct error *err, const void *result, void *data);

/* Starts a task and takes ownership of arg, also on failure. Calls done once, never from inside. */
struct pending *task_start(struct jobs *jobs, const struct task_class *class, void *arg,
			   const int *keep_fds, size_t n_keep_fds, task_done_fn *done, void *data,
			   struct error *err);

/* Sends the result for done. size must be the class's. Worker only. */
int task_result(struct worker *w, const void *result, size_t size, struct error *err);
