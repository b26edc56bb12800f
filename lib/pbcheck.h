/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the raw bytes of a message, driven by its descriptor, before protobuf-c sees them.
 * protobuf-c 1.4 checks neither strings nor counts nor what the decoded message will take: 4 MiB of
 * empty sub-messages become 223 MiB. Called for every envelope and every message from a peer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

#define PBCHECK_DEPTH_MAX  64 /* levels of messages in messages */
#define PBCHECK_FIELDS_MAX 32 /* fields of one message type; ours have 13 at most */

struct pbcheck_limits {
	size_t elements; /* of one repeated field in one message */
	size_t bytes;    /* of memory that unpacking takes */
};

/* For request and response messages. 131072 environment variables still fit. */
#define PBCHECK_LIMITS_MESSAGE ((struct pbcheck_limits){ .elements = 131072, .bytes = 16u << 20 })
/* For the ttrpc envelope: its payload is one copy of the frame; trace headers are few. */
#define PBCHECK_LIMITS_ENVELOPE ((struct pbcheck_limits){ .elements = 1024, .bytes = 5u << 20 })

/*
 * 0: protobuf_c_message_unpack() of these bytes succeeds unless memory is out, every string in the
 * result is UTF-8 without NUL and as long on the wire as strlen() says, and unpacking takes at most
 * *decoded bytes from its allocator, each request rounded up to 16, if that never gives anything back
 * (an arena). `decoded` may be NULL.
 *
 * -1 with *err naming message.field:
 *  INVALID_ARGUMENT    malformed: truncated, bad tag, groups, wrong wire type for the field, a length past
 *                      the end, more than PBCHECK_DEPTH_MAX levels; a bad string; or a sub-message sent
 *                      twice (allowed by the encoding, sent by nobody, and merged wrongly by protobuf-c 1.4)
 *  RESOURCE_EXHAUSTED  over one of the limits
 *  INTERNAL            the descriptor has more than PBCHECK_FIELDS_MAX fields
 *
 * Unknown fields are accepted, and counted. Allocates nothing, never blocks, does not recurse (12 KiB
 * of stack).
 */
int pbcheck(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
	    const struct pbcheck_limits *limits, size_t *decoded, struct error *err)
	__attribute__((warn_unused_result));

/* pbcheck() and then the message from protobuf_c_message_unpack() with `allocator` (NULL: malloc, to be
 * freed with protobuf_c_message_free_unpacked()). NULL and *err as above, RESOURCE_EXHAUSTED if the
 * allocator said no. */
ProtobufCMessage *pbcheck_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
				 size_t len, const struct pbcheck_limits *limits,
				 ProtobufCAllocator *allocator, struct error *err);
