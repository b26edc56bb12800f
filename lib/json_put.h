/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON written value by value, into memory of the caller or into a struct buf. Commas are written
 * automatically. Strings are escaped, and invalid UTF-8 in them is replaced, so that the text is
 * valid JSON for any input. A write that does not fit, or for which there is no memory, sets
 * has_failed, and all later writes do nothing: the caller checks once, at the end. Allocates only
 * in the buffer; never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct json_put {
	/* Destination of the text; NULL for `text`, which has `size` bytes. */
	struct buf *buf;
	char *text;
	/* Bytes in `text`, without a NUL. */
	size_t len, size;
	bool needs_comma, has_failed;
};

/* Begins an object ('{') or an array ('['), and ends it ('}', ']'). Here and below, `key` is NULL
 * in an array and at the outermost level. */
void json_put_begin(struct json_put *w, const char *key, char bracket);
void json_put_end(struct json_put *w, char bracket);

void json_put_text(struct json_put *w, const char *key, const char *value);
void json_put_bool(struct json_put *w, const char *key, bool value);
void json_put_i64(struct json_put *w, const char *key, int64_t value);
void json_put_u64(struct json_put *w, const char *key, uint64_t value);
void json_put_null(struct json_put *w, const char *key);

/* Writes at most `max` bytes of a string, including escapes. It is cut between two characters. */
void json_put_cut(struct json_put *w, const char *key, const char *value, size_t max);
