/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values looked up in JSON text where it stands, for small documents that the host or the guest's
 * image provides. Nothing is allocated: a value is a part of the text. json_scan() checks the whole
 * document once; the other functions take only its result, or what they found in it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Deeper nesting is refused. */
#define JSON_SCAN_DEPTH 64

/* A value in the text, without the white space around it. */
struct json_value {
	const char *text;
	size_t len;
};

/* Checks that n bytes are one JSON value and white space (RFC 8259), in UTF-8. */
bool json_scan(const char *text, size_t n, struct json_value *out);

/* Finds the member of an object; the last one if several have this key. Returns false if there is
 * none, or the value is not an object. */
bool json_scan_member(struct json_value object, const char *key, struct json_value *out);

/* Moves *item to the next item of an array, or to the first one if item->text is NULL. Returns
 * false after the last one, or if the value is not an array. */
bool json_scan_item(struct json_value array, struct json_value *item);

/* Decodes a string, NUL-terminated, to `out`. Returns its length, or -1 for any other kind of
 * value, for a string with a NUL in it, and for one that does not fit. */
ssize_t json_scan_string(struct json_value value, char *out, size_t size);

/* Returns whether the value is a string equal to `text`. */
bool json_scan_equals(struct json_value value, const char *text);

/* Reads an unsigned number of at most 32 bits. Returns false for anything else. */
bool json_scan_u32(struct json_value value, uint32_t *out);

/* Returns whether the value begins with `c`: '{' an object, '[' an array, '"' a string. */
bool json_scan_is(struct json_value value, char c);
