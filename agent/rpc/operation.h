/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the handlers for sandbox and container calls. Loop side: never blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent.pb-c.h"
#include "agent/job/job.h"
#include "agent/sandbox/queue.h"
#include "agent/server/call.h"
#include "agent/storage/storage.h"

/* Ends a call: the op_done_fn of every operation that a call waits for. `data` is the call, whose
 * reply is already filled in. */
void operation_done(const struct error *err, void *data);

/* The same for the worker of a call whose reply is already filled in: a job_ops.done. */
void operation_job_done(struct job *job, const struct error *err, void *data);

/* Returns what a handler is to return for an operation's outcome; if that is OP_PENDING, parks the
 * call on p. */
enum rpc_outcome operation_outcome(struct call *call, enum op_outcome outcome, struct pending *p);

/* Converts the storages of a request. The array is allocated in the call's arena; its strings
 * belong to the request. Returns NULL and err only if out of memory, so not for n == 0. */
struct storage_spec *operation_storages(struct call *call, Grpc__Storage *const *storages, size_t n,
					struct error *err);
