/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of any bytes and any message type: shared by the targets that decode. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/pbcheck.h"

/*
 * Runs pbcheck(); when it accepts, the bytes must unpack, within the computed memory, to strings without
 * NUL, and packing the result must come to rest: pack(unpack(pack(m))) == pack(m). Returns the message
 * (free it with protobuf_c_message_free_unpacked(m, NULL)), NULL when pbcheck() refused, which it must then
 * explain.
 */
ProtobufCMessage *decode_and_check(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
				   size_t size, const struct pbcheck_limits *limits);
