/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc frames: pure functions from bytes to frames and back, without I/O. Used by the agent's
 * connections, the client and the fuzzers. Source: github.com/containerd/ttrpc, PROTOCOL.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define FRAME_HEADER_SIZE 10
/* In both directions. */
#define FRAME_PAYLOAD_MAX (4u << 20)
/* Bytes of an oversize payload that are skipped beyond FRAME_PAYLOAD_MAX. */
#define FRAME_DRAIN_MAX (8u << 20)

enum frame_type {
	FRAME_REQUEST = 1,
	FRAME_RESPONSE = 2,
	/* Streaming, which none of our methods uses. */
	FRAME_DATA = 3,
};

/* Flags are used by streaming frames only; requests and responses have 0. */
enum frame_flag {
	FRAME_REMOTE_CLOSED = 1 << 0,
	FRAME_REMOTE_OPEN = 1 << 1,
	FRAME_NO_DATA = 1 << 2,
};

/* A header; on the wire the first two fields are big-endian. */
struct frame_header {
	/* Length of the payload. */
	uint32_t length;
	uint32_t stream;
	/* enum frame_type, or any value that a peer sends. */
	uint8_t type;
	uint8_t flags;
};

void frame_header_encode(const struct frame_header *header, uint8_t out[FRAME_HEADER_SIZE]);
void frame_header_decode(struct frame_header *header, const uint8_t in[FRAME_HEADER_SIZE]);

enum frame_event {
	/* All bytes were used, and no frame is complete. */
	FRAME_MORE,
	/* reader->header and reader->payload are a complete frame. */
	FRAME_READY,
	/* reader->header announces an oversize payload, which will be skipped: reject its
	 * stream. */
	FRAME_OVERSIZE,
	/* An oversize payload exceeds FRAME_DRAIN_MAX: close the connection. */
	FRAME_CLOSE,
	/* No memory for received bytes: close the connection. */
	FRAME_NOMEM,
};

/* The received part of the next frame of a connection. */
struct frame_reader {
	/* Valid if n_head == FRAME_HEADER_SIZE. */
	struct frame_header header;
	uint8_t head[FRAME_HEADER_SIZE];
	/* Received bytes of the header. */
	uint8_t n_head;
	/* FRAME_CLOSE or FRAME_NOMEM was returned, and will be from now on. */
	uint8_t failed;
	/* FRAME_READY was returned: the next call starts a new frame. */
	uint8_t ready;
	/* Bytes of an oversize payload that are yet to be dropped. */
	uint32_t skip;
	/* The payload is longer than `skip`: FRAME_CLOSE when that reaches 0. */
	bool skip_closes;
	/* Grows with the received bytes, not with the length in the header. */
	struct buf payload;
};

void frame_reader_init(struct frame_reader *reader);
void frame_reader_release(struct frame_reader *reader);

/*
 * Processes received bytes, at most up to the end of one frame; *used (<= n) is their number. To be
 * called again with the rest until FRAME_MORE. After FRAME_READY the payload is valid until the
 * next call.
 */
enum frame_event frame_reader_feed(struct frame_reader *reader, const uint8_t *data, size_t n,
				   size_t *used);

/* Returns whether the bytes begin with a complete frame within the limit that the reader would
 * return as FRAME_READY, and decodes its header: its payload may then be used in place, instead of
 * being fed. Changes nothing. */
bool frame_reader_peek(const struct frame_reader *reader, const uint8_t *data, size_t n,
		       struct frame_header *header);

/* Moves the payload of a complete frame to *out, which is initialised here and released by the
 * caller. */
void frame_reader_take(struct frame_reader *reader, struct buf *out);

/* Returns the address at which the next bytes of a started payload can be received without a copy,
 * or NULL if they must be fed. *n is at most the number of bytes received so far, and `max`. To be
 * followed by frame_reader_received(), and by a feed of 0 bytes for the result. */
uint8_t *frame_reader_room(struct frame_reader *reader, size_t max, size_t *n);
void frame_reader_received(struct frame_reader *reader, size_t n);

/* Returns whether a frame is incomplete, for the deadline of slow senders. */
bool frame_reader_is_partial(const struct frame_reader *reader);
