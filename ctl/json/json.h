/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts any message from and to JSON by its descriptor. Fields have their names in the .proto
 * files; bytes are base64, enumerations are names (or numbers), maps are objects, 64-bit numbers
 * may be strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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

/* The names of fields in documents of another form than the protocol's. */
struct json_names {
	/* Writes the name of a field, "" if documents do not have it. */
	void (*name)(const ProtobufCFieldDescriptor *f, char *out, size_t size);
	/* Returns whether the value at `path`, for which there is no field, is left out. */
	bool (*leave_out)(void *data, const char *path);
	void *data;
};

/* As json_to_message(), with other names. */
ProtobufCMessage *json_to_message_named(const struct json_names *names,
					const ProtobufCMessageDescriptor *desc, const json_t *json,
					struct error *err);

/* Parses n bytes, in which no object may have a key twice. Integers that a json_t cannot hold
 * become strings, which json_to_message() takes as well. Returns NULL and sets err
 * (INVALID_ARGUMENT). */
json_t *json_parse(const char *text, size_t n, struct error *err);

/* As json_parse(), the content of a file; "-" is standard input. May block. Errors begin with the
 * path. */
json_t *json_read_file(const char *path, struct error *err);

/* Returns an object with all fields of a message except unset sub-messages and members of
 * oneofs. The caller json_decref()s it. Returns NULL and sets err: INVALID_ARGUMENT (a string is
 * not UTF-8) or RESOURCE_EXHAUSTED. */
json_t *json_from_message(const ProtobufCMessage *message, struct error *err);

/* Returns the text as a JSON string, in which U+FFFD stands for bytes that are not UTF-8: file
 * names may have any. The caller json_decref()s it. Returns NULL if out of memory. */
json_t *json_from_text(const char *text);
