/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one ttrpc request, from decoded message to reply, failure or cancellation. Only
 * agent/server and agent/rpc know calls; modules never see one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/pending.h"

struct agent;
struct call;
struct conn;

/* The result of a handler. */
enum rpc_outcome {
	/* err is set and becomes the Status. */
	RPC_FAILED = -1,
	/* `response` is filled in and is sent. */
	RPC_REPLY = 0,
	/* Parked, or a job was started: call_reply() or call_fail() follows. */
	RPC_LATER = 1,
};

/* Handles a request. request: the method's unpacked message, in the call's arena until the call
 * ends. response: an initialised message of the method's output type in the arena; pointers stored
 * in it must be in the arena or outlive the call's reply. */
typedef enum rpc_outcome rpc_handler_fn(struct call *call, const void *request, void *response,
					struct error *err);

enum rpc_flags {
	/* FAILED_PRECONDITION before CreateSandbox. */
	RPC_NEEDS_SANDBOX = 1 << 0,
	/* Not subject to the policy (Health). */
	RPC_NO_POLICY = 1 << 1,
	/* If the policy denies it, it still runs, but the reply is empty. */
	RPC_BLANK_IF_DENIED = 1 << 2,
	/* Its connection is never closed in favour of another one. */
	RPC_OF_RUNTIME = 1 << 3,
	/* The bytes at the end of its request are valid only while the handler runs, unless it
	 * keeps them (call_keep_bytes()). */
	RPC_BORROWS = 1 << 4,
};

struct rpc_method {
	/* As in the service descriptor. */
	const char *name;
	rpc_handler_fn *handler;
	unsigned int flags;
};

/* The methods of one file. */
struct rpc_area {
	const struct rpc_method *methods;
	size_t count;
};

#define RPC_AREA(table)                                                         \
	{                                                                       \
		.methods = (table), .count = sizeof(table) / sizeof((table)[0]) \
	}

/* Returns the root object. call_arena() returns the call's memory. */
struct agent *call_agent(struct call *call);
struct arena *call_arena(struct call *call);
/* Returns the response message of a parked call. */
void *call_response(struct call *call);
const void *call_request(struct call *call);

/* Has bytes of the request of a method with RPC_BORROWS live until the call ends. To be called from
 * the handler; n may be less than the field has, for its last n bytes. Returns their new address,
 * or NULL and err. */
const uint8_t *call_keep_bytes(struct call *call, const uint8_t *data, size_t n, struct error *err);

/* Parks the call until the operation calls back, which ends the call or parks it on another
 * operation. Returns RPC_LATER, or RPC_FAILED if there is no operation (NULL; err says why). If
 * the connection ends or timeout_nano passes first, the operation is cancelled and the call is
 * freed. */
enum rpc_outcome call_park(struct call *call, struct pending *pending);

/*
 * A reply that consists of the one field of bytes of its message, read without a copy.
 * call_reserve_bytes() returns room for n bytes, in the queue of the connection if possible, else
 * in the call's arena, or NULL. call_commit_bytes() follows at once, before any other call is
 * answered, with the number of bytes that were read into it, at least 1; then the call must be
 * answered with its response.
 */
uint8_t *call_reserve_bytes(struct call *call, size_t n);
void call_commit_bytes(struct call *call, size_t n);

/* Ends a call whose handler returned RPC_LATER, and frees it. Each call ends by exactly one of
 * reply, fail, cancel. */
void call_reply(struct call *call);
void call_fail(struct call *call, const struct error *err);

/* ---- for server.c, in conn_ops ---- */

/* Handles one request frame. */
void call_dispatch(struct conn *conn, uint32_t stream, const uint8_t *payload, size_t n);

/* Ends the calls of a connection that ends. */
void call_abandon_all(struct list *calls);
