/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: bytes to frames, replies to bytes. It knows neither calls nor listeners; server.c
 * connects it with them. Never blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"
#include "lib/list.h"

struct conn;
struct server;

/* The events of a connection. */
struct conn_ops {
	/* A request frame has arrived. */
	void (*request)(struct conn *conn, uint32_t stream, const uint8_t *payload, size_t n);
	/* The connection ends: abandons the calls in conn->calls. */
	void (*abandon)(struct list *calls);
	/* All its replies are written. */
	void (*wrote)(struct server *server);
	/* It is closed and freed. */
	void (*gone)(struct server *server);
};

/* Takes ownership of fd, unless it returns NULL and err. */
struct conn *conn_new(struct server *server, int fd, struct error *err);

/* Must not be called from the connection's own events. */
void conn_close(struct conn *conn);

/* Queue the answer to a request. */
void conn_reply(struct conn *conn, uint32_t stream, const ProtobufCMessage *message);
void conn_fail(struct conn *conn, uint32_t stream, const struct error *err);
