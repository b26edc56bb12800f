/* SPDX-License-Identifier: Apache-2.0 */
/* The only number parsing in the program. Whole string or nothing: no blanks, no sign for unsigned. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Each: true and *out, or false with *out untouched. */
bool parse_u64(const char *s, uint64_t *out);
bool parse_u32(const char *s, uint32_t *out);
bool parse_i64(const char *s, int64_t *out);
bool parse_octal(const char *s, uint32_t *out);
bool parse_hex(const char *s, uint64_t *out); /* with or without 0x */
/* true/false/yes/no/on/off or an unsigned number (0 = false). */
bool parse_bool(const char *s, bool *out);

/* Valid UTF-8 without NUL over n bytes? */
bool utf8_is_valid(const char *s, uint64_t n);

/* A container id: [A-Za-z0-9][A-Za-z0-9._-]{1,127}, and not one of the names that the run directory
 * itself uses ("shared", "sandbox", "image", "virtual-volumes"). */
bool container_id_is_valid(const char *s);
