/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 section 4), how bytes fields look in JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* NUL-terminated text for n bytes; the caller frees it. NULL: no memory. */
char *base64_encode(const uint8_t *data, size_t n);

/* Bytes of `len` characters of text, padding required; *n is set. The caller frees the result, which is never
 * NULL for empty text. NULL: not base64 (errno EINVAL) or no memory (ENOMEM). */
uint8_t *base64_decode(const char *text, size_t len, size_t *n);
