/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of numbers. The whole string must match: no spaces, and no sign for unsigned numbers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Each returns true and sets *out, or returns false and leaves *out unchanged. */
bool parse_u64(const char *s, uint64_t *out);
bool parse_u32(const char *s, uint32_t *out);
bool parse_i64(const char *s, int64_t *out);
bool parse_octal(const char *s, uint32_t *out);
/* With or without the prefix 0x. */
bool parse_hex(const char *s, uint64_t *out);
/* Accepts true, false, yes, no, on, off or an unsigned number (0 is false). */
bool parse_bool(const char *s, bool *out);

/* Returns whether n bytes are valid UTF-8 without NUL. */
bool utf8_is_valid(const char *s, uint64_t n);

/* Returns whether this is a valid container id: [A-Za-z0-9][A-Za-z0-9._-]{1,127}, except names that
 * are used in the run directory ("shared", "sandbox", "image", "virtual-volumes"). */
bool container_id_is_valid(const char *s);
