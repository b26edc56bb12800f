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

/* Queue an answer that consists of one field of bytes, without a copy: the bytes are placed in
 * memory that is reserved at the end of the queue (envelope_reserve_bytes()), and committed before
 * anything else is queued. Committing writes nothing: conn_write() follows. */
uint8_t *conn_reserve_bytes(struct conn *conn, size_t n);
void conn_commit_bytes(struct conn *conn, uint32_t stream, uint8_t number, size_t reserved,
		       size_t n);

/* Writes queued answers, unless more of this turn follow. */
void conn_write(struct conn *conn);
