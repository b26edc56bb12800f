/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ttrpc client: any number of concurrent calls on one connection, answered in any order. Used by
 * tatamictl, tests and benchmarks, not by the agent. Single-threaded. From their own callbacks only
 * ttrpc_client_start(), ttrpc_client_forget() and ttrpc_client_n_pending() may be called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

struct ttrpc_client;

/*
 * The answer to a call: `reply`, owned by the callback, which frees it with
 * protobuf_c_message_free_unpacked(reply, NULL); or NULL and `failure`: code and message of the
 * server's status, or UNAVAILABLE if the connection broke.
 */
typedef void ttrpc_reply_fn(void *data, ProtobufCMessage *reply, const struct error *failure);

/* Connects to an address (lib/ttrpc/address.h), retrying until timeout_ms have passed (-1: no
 * limit). Blocks. On failure returns NULL and sets err: INVALID_ARGUMENT for a bad address, else
 * UNAVAILABLE or DEADLINE_EXCEEDED. The result is freed with ttrpc_client_free(). */
struct ttrpc_client *ttrpc_client_dial(const char *address, int timeout_ms, struct error *err);

/* Makes a client of a connected stream socket. Takes ownership of fd, also on failure, and makes it
 * non-blocking. */
struct ttrpc_client *ttrpc_client_new(int fd, struct error *err);

/* Closes the connection. Unanswered calls are dropped without calling back. NULL is allowed. */
void ttrpc_client_free(struct ttrpc_client *client);

/*
 * Sends a request; never blocks. `timeout_ns` is sent to the server (0: none). If `fn` is not NULL,
 * it is called with the answer from ttrpc_client_handle(), ttrpc_client_poll() or
 * ttrpc_client_wait(); otherwise the answer is kept for ttrpc_client_wait(). Returns the id of the
 * call, or 0 and err (INVALID_ARGUMENT: no such method, or a request of another type;
 * RESOURCE_EXHAUSTED: over 4 MiB, or out of memory; UNAVAILABLE: connection broken).
 */
uint32_t ttrpc_client_start(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
			    const char *method, const ProtobufCMessage *request, int64_t timeout_ns,
			    ttrpc_reply_fn *fn, void *data, struct error *err);

/* Waits for the answer to a call that was started without a callback, and ends the call. The
 * caller owns *reply (`reply` may be NULL). On failure returns -1 and err: the server's status,
 * UNAVAILABLE, or DEADLINE_EXCEEDED after timeout_ms (-1: no limit); in the last case the call
 * stays open and can be waited for again. Blocks; other calls are answered meanwhile. */
int ttrpc_client_wait(struct ttrpc_client *client, uint32_t id, int timeout_ms,
		      ProtobufCMessage **reply, struct error *err);

/* Starts a call and waits for it. The timeout is sent to the server, too; after it, the call is
 * forgotten. */
int ttrpc_client_call(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
		      const char *method, const ProtobufCMessage *request, int timeout_ms,
		      ProtobufCMessage **reply, struct error *err);

/* Drops a call: its answer will be ignored. */
void ttrpc_client_forget(struct ttrpc_client *client, uint32_t id);

/* For callers with an event loop of their own: poll ttrpc_client_fd() for ttrpc_client_events()
 * (POLLIN, POLLOUT), then call ttrpc_client_handle(), which never blocks. It returns -1 and
 * UNAVAILABLE once the connection is broken and all calls have failed. */
int ttrpc_client_fd(const struct ttrpc_client *client);
short ttrpc_client_events(const struct ttrpc_client *client);
int ttrpc_client_handle(struct ttrpc_client *client, struct error *err);

/* Waits at most timeout_ms (-1: no limit) for an event, and handles it. Returns 1 if one was
 * handled, 0 on timeout, -1 as ttrpc_client_handle(). */
int ttrpc_client_poll(struct ttrpc_client *client, int timeout_ms, struct error *err);

/* Returns the number of unanswered calls. */
unsigned ttrpc_client_n_pending(const struct ttrpc_client *client);

/* Has the connection ended? Tells a transport's UNAVAILABLE from a server's. */
bool ttrpc_client_is_broken(const struct ttrpc_client *client);
