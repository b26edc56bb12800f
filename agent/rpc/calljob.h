/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker for one call that belongs to no container and needs no order. The end of the call
 * cancels the worker. Loop side: never blocks. Called by the handlers of this directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/job.h"
#include "agent/server/call.h"
#include "lib/error.h"

struct calljob;

/* The maximum number of bytes of a worker's output, which must fit a frame. */
#define CALLJOB_OUTPUT_MAX ((4u << 20) - 4096)

/* The work for a method. */
struct calljob_class {
	/* For logs and errors, such as "read the metrics". */
	const char *name;
	/* Runs in the worker with the argument of calljob_arg(). May block. */
	job_work_fn *work;
	/* Runs on the loop when the work is done: fills in the call's response from the worker's
	 * output, which is NUL-terminated and valid until the reply is packed. NULL: an empty
	 * reply. */
	int (*finish)(struct call *call, char *output, size_t n, struct error *err);
	uint64_t deadline_ms;
	/* At the deadline, the output so far is used for the reply. */
	bool partial;
};

/* Returns a job with `size` bytes of zeroed argument, which the job owns; or NULL and err. */
struct calljob *calljob_new(struct call *call, const struct calljob_class *class, size_t size,
			    struct error *err);
void *calljob_arg(struct calljob *t);

/* Starts the job, or frees it on failure. Returns what the handler is to return. */
enum rpc_outcome calljob_start(struct calljob *t, struct error *err);

/* Sends a piece of output from the worker. Returns 0, or -1 and err. May block. */
int calljob_send(struct worker *w, const void *data, size_t n, struct error *err);
