/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection for raw bytes: for frames that the client of lib/ttrpc never makes, for partial
 * frames, and for replies that are counted one by one. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/buf.h"
#include "lib/error.h"
#include "lib/ttrpc/frame.h"

struct raw {
	/* non-blocking; -1: closed */
	int fd;
	struct frame_reader reader;
	/* unprocessed part of `in` */
	size_t off, len;
	uint8_t in[64 << 10];
};

/* A response frame. */
struct raw_reply {
	uint32_t stream;
	uint8_t type;
	/* code ERROR_OK: success */
	struct error status;
	/* size of the message */
	size_t size;
};

/* Connects. Returns 0, or -1 and err. The caller closes it with raw_close(), which may be called
 * twice. */
int raw_open(struct raw *r, const char *address, struct error *err);
void raw_close(struct raw *r);

/* Sends all bytes, waiting for room. Returns false if the agent closed the connection or took
 * nothing for 10 s. */
bool raw_send(struct raw *r, const void *data, size_t n);

/* Sends what the socket accepts now and drops it from `out`. Returns false if the connection is
 * closed. */
bool raw_flush(struct raw *r, struct buf *out);

/* Reads the next reply. Returns 1, 0 if none came within timeout_ms, or -1 if the connection is
 * closed. */
int raw_next(struct raw *r, int timeout_ms, struct raw_reply *out);

/* Waits for the reply to a stream and drops others. Returns false on a timeout or if the
 * connection is closed. */
bool raw_wait(struct raw *r, uint32_t stream, int timeout_ms, struct raw_reply *out);

/* Returns whether the agent closes the connection within timeout_ms; drops replies. */
bool raw_is_closed(struct raw *r, int timeout_ms);

/* Appends a request frame of grpc.AgentService (or grpc.Health for Check and Version). */
void raw_request(struct buf *out, uint32_t stream, const char *method, int64_t timeout_ns,
		 const void *message);

/* Appends a frame with this payload. */
void raw_frame(struct buf *out, uint32_t stream, uint8_t type, const void *payload, size_t n);

/* Sends a Check. */
bool raw_check(struct raw *r, uint32_t stream);

/* Returns whether a method is implemented. The request is one that no handler accepts, but
 * unimplemented methods are refused before decoding. */
bool raw_has_handler(struct raw *r, uint32_t stream, const char *service, const char *method);
