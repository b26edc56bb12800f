/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the host that wait for the call that names them: each is known by the port that
 * the host made it from. For streams that are passed through: CreateContainer and ExecProcess name
 * three such ports. Loop side: never blocks, and never reads from a connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

/* connections that nobody has asked for: the oldest go */
#define PORTS_KEPT_MAX 256
/* a connection may come behind the call */
#define PORTS_WAIT_MS 1000
#define PORTS_STREAMS 3

struct ports;

/* Who asks, in its owner's memory. port, done and data are set by the owner; a port of 0 is
 * none. */
struct ports_request {
	struct list node;
	struct pending pending;
	struct ports *ports;
	uint32_t port[PORTS_STREAMS];
	/* result, the owner's (non-blocking); -1: none */
	int fd[PORTS_STREAMS];
	struct timer *timer;
	/* NOT_FOUND with the first port that nobody has connected from; no fd is left then. */
	void (*done)(struct ports_request *r, const struct error *err);
	void *data;
};

/* Listens on vsock port `vport`; only the host (CID 2) is let in. vport 0: nowhere. NULL and
 * err. */
struct ports *ports_new(struct loop *loop, uint32_t vport, struct error *err);

/* Closes everything that nobody has asked for. No request may be waiting. NULL is allowed. */
void ports_free(struct ports *ports);

/* A connection from `port`, taken over. One that is there already from the same port is closed. */
void ports_add(struct ports *ports, uint32_t port, int fd);

/* All connections at once, or none. 0: r->fd is filled in. 1: done follows, for which r->pending
 * waits. -1 and err. */
int ports_take(struct ports *ports, struct ports_request *r, struct error *err);
