/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection on which bytes are sent as they are: for frames that the client of lib/ttrpc would never make,
 * for halves of frames, and for replies that are counted one by one. One thread.
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
	int fd; /* non-blocking; -1: closed */
	struct frame_reader reader;
	size_t off, len; /* of `in`: what was read, but not looked at yet */
	uint8_t in[64 << 10];
};

/* A response frame. */
struct raw_reply {
	uint32_t stream;
	uint8_t type;
	struct error status; /* code ERROR_OK: success */
	size_t size;         /* of the message in it */
};

/* 0, or -1 and err. The raw must be closed with raw_close(), which may be called twice. */
int raw_open(struct raw *r, const char *address, struct error *err);
void raw_close(struct raw *r);

/* Sends all, waiting for room; false when the agent closed the connection, or took nothing for 10 s. */
bool raw_send(struct raw *r, const void *data, size_t n);

/* Sends what the socket takes now and drops it from `out`; false when the connection is closed. */
bool raw_flush(struct raw *r, struct buf *out);

/* The next reply: 1, or 0 when none came within timeout_ms, -1 when the connection is closed. */
int raw_next(struct raw *r, int timeout_ms, struct raw_reply *out);

/* Waits for the reply to a stream, dropping others; false as raw_next(). */
bool raw_wait(struct raw *r, uint32_t stream, int timeout_ms, struct raw_reply *out);

/* True when the agent closes the connection within timeout_ms; replies are dropped. */
bool raw_is_closed(struct raw *r, int timeout_ms);

/* Appends a request frame of grpc.AgentService (or grpc.Health for Check and Version). */
void raw_request(struct buf *out, uint32_t stream, const char *method, int64_t timeout_ns,
		 const void *message);

/* Appends a frame with this payload. */
void raw_frame(struct buf *out, uint32_t stream, uint8_t type, const void *payload, size_t n);

/* Sends a Check. */
bool raw_check(struct raw *r, uint32_t stream);

/* Does this method do anything, or is it UNIMPLEMENTED? Asked with a request that no handler can be given:
 * methods without one say so before they look at it. */
bool raw_has_handler(struct raw *r, uint32_t stream, const char *service, const char *method);
