/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the raw bytes of a message in one pass, guided by its descriptor, before protobuf-c
 * decodes them. protobuf-c 1.4 checks neither strings nor counts nor the size of the decoded
 * message: 4 MiB of empty sub-messages become 223 MiB. Called for every envelope and every message
 * of a peer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

/* Levels of nested messages. */
#define PBCHECK_DEPTH_MAX 64
/* Fields of a message type; ours have at most 13. */
#define PBCHECK_FIELDS_MAX 32

struct pbcheck_limits {
	/* Elements of one repeated field in one message. */
	size_t elements;
	/* Bytes of memory that unpacking needs. */
	size_t bytes;
};

/* Limits for requests and responses. 131072 environment variables fit. */
#define PBCHECK_LIMITS_MESSAGE ((struct pbcheck_limits){ .elements = 131072, .bytes = 16u << 20 })
/* Limits for the ttrpc envelope: its payload is one copy of the frame, and it has few trace
 * headers. */
#define PBCHECK_LIMITS_ENVELOPE ((struct pbcheck_limits){ .elements = 1024, .bytes = 5u << 20 })

/*
 * Returns 0 if protobuf_c_message_unpack() of these bytes succeeds unless memory is exhausted,
 * every string in the result is UTF-8 without NUL, and unpacking allocates at most *decoded bytes,
 * each request rounded up to 16, from an allocator that never frees (an arena). `decoded` may be
 * NULL.
 *
 * Returns -1 with *err naming message.field:
 *  INVALID_ARGUMENT    malformed: truncated, invalid tag, groups, wrong wire type for the field, a
 *                      length past the end, more than PBCHECK_DEPTH_MAX levels; an invalid string;
 *                      or a sub-message sent
 *                      twice (allowed by the encoding, not used by any encoder, and merged
 *                      wrongly by protobuf-c 1.4)
 *  RESOURCE_EXHAUSTED  over one of the limits
 *  INTERNAL            the descriptor has more than PBCHECK_FIELDS_MAX fields
 *
 * Unknown fields are accepted, and counted. Allocates nothing, never blocks, does not recurse (12
 * KiB of stack).
 */
int pbcheck(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
	    const struct pbcheck_limits *limits, size_t *decoded, struct error *err)
	__attribute__((warn_unused_result));

/* Calls pbcheck(), then protobuf_c_message_unpack() with `allocator` (NULL: malloc; the result is
 * freed with protobuf_c_message_free_unpacked()). Returns NULL and *err as pbcheck(), or
 * RESOURCE_EXHAUSTED if the allocator fails. */
ProtobufCMessage *pbcheck_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
				 size_t len, const struct pbcheck_limits *limits,
				 ProtobufCAllocator *allocator, struct error *err);

/* Shorter bytes are copied in any case. */
#define PBCHECK_TAIL_MIN 1024

/* As pbcheck_unpack(), but if the message ends with a field of at least PBCHECK_TAIL_MIN bytes, the
 * result points into `data` instead of a copy: the field is valid as long as `data` is. The result
 * must not be freed with protobuf_c_message_free_unpacked(), so an allocator is required. */
ProtobufCMessage *pbcheck_unpack_tail(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
				      size_t len, const struct pbcheck_limits *limits,
				      ProtobufCAllocator *allocator, struct error *err);
