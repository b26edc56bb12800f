/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole call frames: the ttrpc envelope around a message, packed in place, without a second copy of the
 * message. For the agent's connections, the client and the tests.
 */
#pragma once

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/buf.h"
#include "lib/error.h"

/* Appends a request frame. `timeout_ns` 0: none. 0, or -1 with `out` unchanged: RESOURCE_EXHAUSTED when
 * the frame is over FRAME_PAYLOAD_MAX, over out->max, or memory is out. */
int envelope_append_request(struct buf *out, uint32_t stream, const char *service,
			    const char *method, int64_t timeout_ns, const ProtobufCMessage *message,
			    struct error *err) __attribute__((warn_unused_result));

/* Appends a response frame with status OK and `reply` as payload. 0, or -1 with `out` unchanged:
 * INVALID_ARGUMENT when the reply is over FRAME_PAYLOAD_MAX (send that error instead),
 * RESOURCE_EXHAUSTED when memory is out. */
int envelope_append_reply(struct buf *out, uint32_t stream, const ProtobufCMessage *reply,
			  struct error *err) __attribute__((warn_unused_result));

/* Appends a response frame with the status `failure`, a few hundred bytes. 0, or -1 and ENOMEM. */
int envelope_append_failure(struct buf *out, uint32_t stream, const struct error *failure);

#define ENVELOPE_NAME_MAX 128 /* longer names are cut: no service or method is called so */

/* A request's envelope, read in place. */
struct envelope_request {
	char service[ENVELOPE_NAME_MAX], method[ENVELOPE_NAME_MAX];
	char traceparent[ENVELOPE_NAME_MAX]; /* of the metadata: W3C trace context; "": none */
	const uint8_t *payload;              /* where it stands in the frame; NULL: empty */
	size_t payload_len;
	int64_t timeout_ns;
};

/* The envelope is checked first (lib/pbcheck.h) against `limits` and its descriptor. 0, or -1 and err as there. */
struct pbcheck_limits;
int envelope_read_request(const uint8_t *data, size_t n, const struct pbcheck_limits *limits,
			  struct envelope_request *out, struct error *err);
