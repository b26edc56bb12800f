/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of calls: the ttrpc envelope around a message, packed in place without a second copy of
 * the message. Used by the agent's connections, the client and the tests.
 */
#pragma once

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/buf.h"
#include "lib/error.h"

/* Appends a request frame. A `timeout_ns` of 0 means none. Returns 0, or -1 with `out` unchanged:
 * RESOURCE_EXHAUSTED if the frame exceeds FRAME_PAYLOAD_MAX or out->max, or memory is exhausted. */
int envelope_append_request(struct buf *out, uint32_t stream, const char *service,
			    const char *method, int64_t timeout_ns, const ProtobufCMessage *message,
			    struct error *err) __attribute__((warn_unused_result));

/* Appends a response frame with status OK and `reply` as payload. Returns 0, or -1 with `out`
 * unchanged: INVALID_ARGUMENT if the reply exceeds FRAME_PAYLOAD_MAX (that error is then sent
 * instead), RESOURCE_EXHAUSTED if memory is exhausted. */
int envelope_append_reply(struct buf *out, uint32_t stream, const ProtobufCMessage *reply,
			  struct error *err) __attribute__((warn_unused_result));

/*
 * A response frame with status OK and a message that consists of one field of bytes, built without
 * a copy of the bytes. Reserves room for `n` bytes at the end of `out` and returns it, or NULL if
 * memory or out->max is exhausted, or the frame would exceed FRAME_PAYLOAD_MAX. The room is valid
 * until the next call for `out`, which must be that of envelope_commit_bytes().
 */
uint8_t *envelope_reserve_bytes(struct buf *out, size_t n);

/* Appends the frame: the first n > 0 bytes of the room, whose size was `reserved`, are the content
 * of field `number` (at most 15). The frame is the one that envelope_append_reply() makes. */
void envelope_commit_bytes(struct buf *out, uint32_t stream, uint8_t number, size_t reserved,
			   size_t n);

/* Appends a response frame with the status `failure`, a few hundred bytes. Returns 0, or -1 and
 * ENOMEM. */
int envelope_append_failure(struct buf *out, uint32_t stream, const struct error *failure);

/* Longer names are truncated, since no service or method has such a name. */
#define ENVELOPE_NAME_MAX 128

/* The envelope of a request, pointing into the frame. */
struct envelope_request {
	char service[ENVELOPE_NAME_MAX], method[ENVELOPE_NAME_MAX];
	/* W3C trace context of the metadata, or "". */
	char traceparent[ENVELOPE_NAME_MAX];
	/* The payload in the frame; NULL if empty. */
	const uint8_t *payload;
	size_t payload_len;
	int64_t timeout_ns;
};

/* Checks the envelope against `limits` and its descriptor (lib/pbcheck.h), then parses it. Returns
 * 0, or -1 and err as pbcheck(). */
struct pbcheck_limits;
int envelope_read_request(const uint8_t *data, size_t n, const struct pbcheck_limits *limits,
			  struct envelope_request *out, struct error *err);
