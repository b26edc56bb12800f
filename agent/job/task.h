/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task: a job that needs nothing but memory and fds of the agent, and comes to one result of a
 * fixed size. For calls that are a single look at, or a single change of, something that may block.
 * Loop side: never blocks.
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
	/* for logs */
	const char *name;
	/* The work; it calls task_result() before it succeeds, if there is a result. */
	job_work_fn *work;
	/* Of a result; 0: there is none. */
	size_t result_size;
	uint64_t deadline_ms;
	/* The work changes something: it goes on when nobody waits for it. Otherwise its worker
	 * is killed. */
	bool changes;
	/* Frees the argument; NULL: free(). */
	void (*free_arg)(void *arg);
};

/* result: as the worker gave it, only if err->code is ERROR_OK and there is one, for the time of
 * the call; else NULL. */
typedef void task_done_fn(const struct error *err, const void *result, void *data);

/* Takes arg over, also when it fails. done is called once, never from inside. */
struct pending *task_start(struct jobs *jobs, const struct task_class *class, void *arg,
			   const int *keep_fds, size_t n_keep_fds, task_done_fn *done, void *data,
			   struct error *err);

/* In the worker: what done will be given. size must be the class's. */
int task_result(struct worker *w, const void *result, size_t size, struct error *err);
