/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of sandbox and container calls share. Loop side: never blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent.pb-c.h"
#include "agent/sandbox/queue.h"
#include "agent/server/call.h"
#include "agent/storage/storage.h"

/* The op_done_fn of every operation that a call waits for; data is the call, whose reply is complete. */
void operation_done(const struct error *err, void *data);

/* Returns what a handler does for an operation's outcome: if that is OP_PENDING, the call is parked on p. */
enum rpc_outcome operation_outcome(struct call *call, enum op_outcome outcome, struct pending *p);

/* The storages of a request in plain terms, in the call's arena; strings stay the request's. NULL only when
 * memory is out (n 0 gives a pointer, too). */
struct storage_spec *operation_storages(struct call *call, Grpc__Storage *const *storages, size_t n,
					struct error *err);
