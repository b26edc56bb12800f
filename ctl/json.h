/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts any message from and to JSON by its descriptor. Fields have their names in the .proto
 * files; bytes are base64, enumerations are names (or numbers), maps are objects, 64-bit numbers
 * may be strings.
 */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

/*
 * Returns the message described by a JSON object; absent and null fields stay unset. The caller
 * frees it with protobuf_c_message_free_unpacked(message, NULL). Returns NULL and sets err:
 * INVALID_ARGUMENT with the path of the invalid value ("OCI.Process.Args[2]: expected a string, not
 * a number"), or RESOURCE_EXHAUSTED.
 */
ProtobufCMessage *json_to_message(const ProtobufCMessageDescriptor *desc, const json_t *json,
				  struct error *err);

/* Returns an object with all fields of a message except unset sub-messages and members of
 * oneofs. The caller json_decref()s it. Returns NULL and sets err: INVALID_ARGUMENT (a string is
 * not UTF-8) or RESOURCE_EXHAUSTED. */
json_t *json_from_message(const ProtobufCMessage *message, struct error *err);
