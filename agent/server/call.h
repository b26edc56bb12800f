/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ttrpc request's life, from decoded message to reply, failure or cancellation. Only
 * agent/server and agent/rpc know calls; modules never see one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "lib/pending.h"

struct agent;
struct call;

/* What a handler says. */
enum rpc_outcome {
	/* err is set: it becomes the Status */
	RPC_FAILED = -1,
	/* `response` is filled in: send it */
	RPC_REPLY = 0,
	/* parked, or a job was started: call_reply() or call_fail() follows */
	RPC_LATER = 1,
};

/* request: the method's unpacked message, in the call's arena until the call ends. response: an
 * initialised message of the method's output type in the arena; pointers put in it must be in
 * the arena or outlive the call's reply. */
typedef enum rpc_outcome rpc_handler_fn(struct call *call, const void *request, void *response,
					struct error *err);

enum rpc_flags {
	/* FAILED_PRECONDITION before CreateSandbox */
	RPC_NEEDS_SANDBOX = 1 << 0,
	/* never asked of the policy (Health) */
	RPC_NO_POLICY = 1 << 1,
	/* refused by policy: done all the same, reply emptied */
	RPC_BLANK_IF_DENIED = 1 << 2,
	/* its connection is never closed for another one's sake */
	RPC_OF_RUNTIME = 1 << 3,
};

struct rpc_method {
	/* as in the service descriptor */
	const char *name;
	rpc_handler_fn *handler;
	unsigned int flags;
};

/* One file's methods. */
struct rpc_area {
	const struct rpc_method *methods;
	size_t count;
};

#define RPC_AREA(table)                                                         \
	{                                                                       \
		.methods = (table), .count = sizeof(table) / sizeof((table)[0]) \
	}

/* The root object, and the call's memory. */
struct agent *call_agent(struct call *call);
struct arena *call_arena(struct call *call);
/* the response message of a parked call */
void *call_response(struct call *call);
const void *call_request(struct call *call);

/* Parks the call until the operation calls back, which ends the call or parks it on another one.
 * Returns RPC_LATER, or RPC_FAILED if there is no operation (NULL; err says why). If the
 * connection ends or timeout_nano passes first, the wait is cancelled and the call is gone. */
enum rpc_outcome call_park(struct call *call, struct pending *pending);

/* Ends a call that said RPC_LATER; the call is gone afterwards. Exactly one of reply, fail,
 * cancel. */
void call_reply(struct call *call);
void call_fail(struct call *call, const struct error *err);
