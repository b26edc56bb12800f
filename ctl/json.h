/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any message from and to JSON, by its descriptor. Fields go by their names in the .proto files; bytes are
 * base64, enumerations names (or numbers), maps objects, 64-bit numbers may be strings.
 */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

/*
 * The message that an object describes; absent and null fields stay unset. The caller frees it with
 * protobuf_c_message_free_unpacked(message, NULL). NULL and err: INVALID_ARGUMENT with the path of what is
 * wrong ("OCI.Process.Args[2]: expected a string, not a number"), or RESOURCE_EXHAUSTED.
 */
ProtobufCMessage *json_to_message(const ProtobufCMessageDescriptor *desc, const json_t *json,
				  struct error *err);

/* An object with all of a message's fields but unset sub-messages and members of oneofs. The caller
 * json_decref()s it. NULL and err: INVALID_ARGUMENT (a string is not UTF-8) or RESOURCE_EXHAUSTED. */
json_t *json_from_message(const ProtobufCMessage *message, struct error *err);
