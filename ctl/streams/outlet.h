/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outlets of a VM in the background: where the output of its containers goes. Each has a log
 * (log.h) and the clients of `tatamictl attach`, which connect to a socket in the VM's directory.
 * The agent hands output out once, so the monitor is its only reader. No call blocks, except
 * outlets_free().
 *
 *	accepted -> named its container -> ATTACHED -> OUT, ERR … -> ENDED or FAILED -> closed
 *	                     | unknown, or ended
 *	                     +-> FAILED -> closed
 *
 * A client that does not read holds its container's output back; after OUTLET_STALL_MS without
 * progress it is disconnected, so that no client stops a container for longer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/streams/log.h"
#include "lib/error.h"

#define OUTLET_STALL_MS 10000

struct outlets;
struct outlet;

/* Starts listening in the VM's directory. Returns NULL and err on failure. */
struct outlets *outlets_new(const char *dir, const struct log_limit *limit, struct error *err);

/* Passes what is still to be sent on to clients that read it, closes everything and frees the
 * memory. `o` may be NULL. */
void outlets_free(struct outlets *o);

/* Returns a new outlet, owned by `o`, or NULL and err. Its log is container-NAME.log in the VM's
 * directory; clients name the container by `id`. */
struct outlet *outlets_add(struct outlets *o, const char *name, const char *id, struct error *err);

/* Returns an fd that is readable when outlets_handle() is to be called. */
int outlets_fd(const struct outlets *o);
void outlets_handle(struct outlets *o);

/* Returns the outlets that this one is one of. */
struct outlets *outlet_owner(const struct outlet *t);

/* Takes output of the container. */
void outlet_write(struct outlet *t, bool from_stderr, const void *data, size_t n);

/* Returns whether a client is to read before more output is taken. */
bool outlet_is_full(const struct outlet *t);

/* Takes note that the container was started, as an outlet's is at first, or has ended. Clients get
 * the exit code or, unless `failure` is NULL, the reason why there is none. */
void outlet_started(struct outlet *t);
void outlet_ended(struct outlet *t, int exit_code, const char *failure);

/* ---- the client's end ---- */

enum outlet_kind {
	OUTLET_ATTACHED = 1,
	OUTLET_OUT,
	OUTLET_ERR,
	/* an int32_t, the exit code */
	OUTLET_ENDED,
	/* a text */
	OUTLET_FAILED,
};

#define OUTLET_PAYLOAD_MAX (1u << 20)

/* Followed by `len` bytes. Both ends are the same program on the same machine. */
struct outlet_frame {
	uint32_t kind, len;
};

/* Connects to the outlet of a container. Returns the socket once this client is attached, or -1 and
 * err. */
int outlet_connect(const char *dir, const char *id, struct error *err);
