/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the host that wait for the call that names them by their source port. For streams
 * that are passed through: CreateContainer and ExecProcess name three such ports. Loop side: never
 * blocks, and never reads from a connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

/* Limit of connections that no call has named yet; the oldest are closed. */
#define PORTS_KEPT_MAX 256
/* A connection may arrive after the call. */
#define PORTS_WAIT_MS 1000
#define PORTS_STREAMS 3

struct ports;

/* A request for connections, in its owner's memory. The owner sets port, done and data; port 0: no
 * stream. */
struct ports_request {
	struct list node;
	struct pending pending;
	struct ports *ports;
	uint32_t port[PORTS_STREAMS];
	/* The result, owned by the caller (non-blocking); -1: none. */
	int fd[PORTS_STREAMS];
	struct timer *timer;
	/* NOT_FOUND names the first port without a connection; all fds are -1 then. */
	void (*done)(struct ports_request *r, const struct error *err);
	void *data;
};

/* Listens on vsock port `vport`; only the host (CID 2) may connect. vport 0: does not listen.
 * Returns NULL and err on failure. */
struct ports *ports_new(struct loop *loop, uint32_t vport, struct error *err);

/* Closes all connections and frees ports (may be NULL). No request may be waiting. */
void ports_free(struct ports *ports);

/* Takes ownership of a connection from `port`. Closes an earlier one from the same port. */
void ports_add(struct ports *ports, uint32_t port, int fd);

/* Takes all connections of the request, or none. Returns 0: r->fd is filled in; 1: done follows,
 * r->pending cancels the wait; -1 and err. */
int ports_take(struct ports *ports, struct ports_request *r, struct error *err);
