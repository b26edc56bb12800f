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
#define FRAME_PAYLOAD_MAX (4u << 20) /* both ways */
#define FRAME_DRAIN_MAX   (8u << 20) /* of an oversize payload, past FRAME_PAYLOAD_MAX */

enum frame_type {
	FRAME_REQUEST = 1,
	FRAME_RESPONSE = 2,
	FRAME_DATA = 3, /* streaming: no method of ours uses it */
};

/* Flags mean something on streaming frames only; requests and responses carry 0. */
enum frame_flag {
	FRAME_REMOTE_CLOSED = 1 << 0,
	FRAME_REMOTE_OPEN = 1 << 1,
	FRAME_NO_DATA = 1 << 2,
};

/* As on the wire, where the first two are big-endian. */
struct frame_header {
	uint32_t length; /* of the payload */
	uint32_t stream;
	uint8_t type; /* enum frame_type, or anything a peer made up */
	uint8_t flags;
};

void frame_header_encode(const struct frame_header *header, uint8_t out[FRAME_HEADER_SIZE]);
void frame_header_decode(struct frame_header *header, const uint8_t in[FRAME_HEADER_SIZE]);

enum frame_event {
	FRAME_MORE,  /* all bytes were used, no frame is complete */
	FRAME_READY, /* reader->header and reader->payload hold a frame */
	FRAME_OVERSIZE, /* reader->header announces too much: refuse its stream; the payload will be skipped */
	FRAME_CLOSE, /* an oversize payload went on too long: close the connection */
	FRAME_NOMEM, /* no memory for bytes that have arrived: close the connection */
};

/* What has arrived of one connection's next frame. Plain data but for the buffer. */
struct frame_reader {
	struct frame_header header; /* valid once n_head == FRAME_HEADER_SIZE */
	uint8_t head[FRAME_HEADER_SIZE];
	uint8_t n_head;     /* bytes of head that have arrived */
	uint8_t failed;     /* FRAME_CLOSE or FRAME_NOMEM was returned: it stays so */
	uint8_t ready;      /* FRAME_READY was returned: the next feed begins a new frame */
	uint32_t skip;      /* bytes of an oversize payload still to be dropped */
	bool skip_closes;   /* there is more than skip: FRAME_CLOSE when it reaches 0 */
	struct buf payload; /* grows as bytes arrive, never by what a header says */
};

void frame_reader_init(struct frame_reader *reader);
void frame_reader_release(struct frame_reader *reader);

/*
 * Takes bytes that arrived, up to the end of one frame at most: *used (<= n) says how many. Call it again
 * with the rest until FRAME_MORE. After FRAME_READY the payload is valid until the next call, unless it
 * is taken away.
 */
enum frame_event frame_reader_feed(struct frame_reader *reader, const uint8_t *data, size_t n,
				   size_t *used);

/* Moves the payload of a ready frame to *out (uninitialised before), which the caller releases. */
void frame_reader_take(struct frame_reader *reader, struct buf *out);

/* Where the next bytes of a payload that has begun may be received without a copy: *n at most as many as have come, and
 * `max`. NULL: nowhere, feed it. Follow with frame_reader_received(), and feed it nothing to learn what that means. */
uint8_t *frame_reader_room(struct frame_reader *reader, size_t max, size_t *n);
void frame_reader_received(struct frame_reader *reader, size_t n);

/* Is a frame half here? (For the deadline that a slow sender gets.) */
bool frame_reader_is_partial(const struct frame_reader *reader);
