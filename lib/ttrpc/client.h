/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ttrpc client: any number of calls at a time on one connection, answered in any order. For tatamictl,
 * tests and benchmarks; the agent does not use it. One thread. Not to be used again from its own
 * callbacks except for ttrpc_client_start(), _forget() and _n_pending().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

struct ttrpc_client;

/*
 * The answer to a call: `reply` (the callee's, to be freed with protobuf_c_message_free_unpacked(reply,
 * NULL)), or NULL and `failure`: code and message of the server's status, or UNAVAILABLE once the
 * connection broke.
 */
typedef void ttrpc_reply_fn(void *data, ProtobufCMessage *reply, const struct error *failure);

/* Connects to an address (lib/ttrpc/address.h), trying again until timeout_ms have passed (-1: for
 * ever). Blocks. NULL and err: INVALID_ARGUMENT for a bad address, else UNAVAILABLE or
 * DEADLINE_EXCEEDED. Free it with ttrpc_client_free(). */
struct ttrpc_client *ttrpc_client_dial(const char *address, int timeout_ms, struct error *err);

/* From a connected stream socket, which the client takes (also on failure) and makes non-blocking. */
struct ttrpc_client *ttrpc_client_new(int fd, struct error *err);

/* Closes the connection. Calls without an answer are dropped: no callback. NULL is allowed. */
void ttrpc_client_free(struct ttrpc_client *client);

/*
 * Sends a request; never blocks. `timeout_ns` goes to the server (0: none). With `fn`, the answer is given
 * to it from ttrpc_client_handle(), _poll() or _wait(); without, it is kept for ttrpc_client_wait().
 * Returns the id of the call, or 0 and err (INVALID_ARGUMENT: no such method, or a request of another
 * type; RESOURCE_EXHAUSTED: over 4 MiB or no memory; UNAVAILABLE: connection broken).
 */
uint32_t ttrpc_client_start(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
			    const char *method, const ProtobufCMessage *request, int64_t timeout_ns,
			    ttrpc_reply_fn *fn, void *data, struct error *err);

/* Waits for the answer to a call begun without callback, and ends it. *reply (may be NULL if not wanted) is
 * the caller's. -1 and err: the server's status, UNAVAILABLE, or DEADLINE_EXCEEDED after timeout_ms (-1:
 * never), when the call goes on and may be waited for again. Blocks; answers other calls meanwhile. */
int ttrpc_client_wait(struct ttrpc_client *client, uint32_t id, int timeout_ms,
		      ProtobufCMessage **reply, struct error *err);

/* start and wait in one. The timeout goes to the server too; a call that took longer is forgotten. */
int ttrpc_client_call(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
		      const char *method, const ProtobufCMessage *request, int timeout_ms,
		      ProtobufCMessage **reply, struct error *err);

/* Drops a call: its answer, when it comes, is ignored. */
void ttrpc_client_forget(struct ttrpc_client *client, uint32_t id);

/* For a loop of the caller's: wait for _events() (POLLIN, POLLOUT) on _fd(), then _handle(), which never
 * blocks. -1 and UNAVAILABLE once the connection is broken; all calls have failed then. */
int ttrpc_client_fd(const struct ttrpc_client *client);
short ttrpc_client_events(const struct ttrpc_client *client);
int ttrpc_client_handle(struct ttrpc_client *client, struct error *err);

/* Waits at most timeout_ms (-1: for ever) for something to happen, and handles it. Returns 1 if so, 0
 * after timeout_ms, -1 as _handle(). */
int ttrpc_client_poll(struct ttrpc_client *client, int timeout_ms, struct error *err);

/* Calls that are not answered yet. */
unsigned ttrpc_client_n_pending(const struct ttrpc_client *client);

/* Has the connection ended? Tells a transport's UNAVAILABLE from a server's. */
bool ttrpc_client_is_broken(const struct ttrpc_client *client);
