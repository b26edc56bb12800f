/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker for one call: for calls that belong to no container and need no order. The call's end cancels the worker. Loop
 * side: never blocks. Called by the handlers of this directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/job.h"
#include "agent/server/call.h"
#include "lib/error.h"

struct calljob;

/* Most bytes that a worker may answer with: they are to fit a frame. */
#define CALLJOB_OUTPUT_MAX ((4u << 20) - 4096)

/* What is done for a method. */
struct calljob_class {
	const char *name; /* for logs and errors: "read the metrics" */
	/* In the worker: arg is that of calljob_arg(). May block. */
	job_work_fn *work;
	/* On the loop, once the work is done: fills in the call's response from what the worker has sent, which is
	 * NUL-ended and lives until the reply is packed. NULL: an empty reply. */
	int (*finish)(struct call *call, char *output, size_t n, struct error *err);
	uint64_t deadline_ms;
	bool partial; /* at the deadline, what has been sent is the answer */
};

/* NULL and err. `size` bytes of argument, zeroed, which the job owns. */
struct calljob *calljob_new(struct call *call, const struct calljob_class *class, size_t size,
			    struct error *err);
void *calljob_arg(struct calljob *t);

/* Starts it, or frees it: what the handler returns. */
enum rpc_outcome calljob_start(struct calljob *t, struct error *err);

/* In the worker: a piece of the answer. */
int calljob_send(struct worker *w, const void *data, size_t n, struct error *err);
