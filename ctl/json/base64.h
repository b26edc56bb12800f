/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, section 4), the JSON form of bytes fields. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Encodes n bytes as a NUL-terminated string, which the caller frees. Returns NULL if out of
 * memory. */
char *base64_encode(const uint8_t *data, size_t n);

/* Decodes `len` characters of padded base64 and sets *n. The caller frees the result, which is
 * not NULL for empty input. Returns NULL with errno EINVAL (invalid base64) or ENOMEM. */
uint8_t *base64_decode(const char *text, size_t len, size_t *n);
