/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of any bytes and any message type, shared by the targets that decode. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/pbcheck.h"

/*
 * Runs pbcheck(). If it accepts the bytes, they must unpack within the computed memory to strings
 * without NUL, and packing must be stable: pack(unpack(pack(m))) == pack(m). Returns the message,
 * to be freed with protobuf_c_message_free_unpacked(m, NULL), or NULL if pbcheck() refused them; a
 * refusal must have a reason.
 */
ProtobufCMessage *decode_and_check(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
				   size_t size, const struct pbcheck_limits *limits);
