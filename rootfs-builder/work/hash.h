/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of texts, and in texts. */
#pragma once

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

/* Length of a digest. */
#define HASH_DIGEST_LEN (sizeof("sha256:") - 1 + 2 * SHA256_DIGEST_SIZE)

/* Adds a text with its NUL, so that two texts differ from one. */
void hash_text(struct sha256_ctx *hash, const char *text);

/* Ends a hash, and stores its first n bytes in hexadecimal. */
void hash_hex(struct sha256_ctx *hash, size_t n, char *out);

/* Ends a hash, and stores it as a digest of OCI: "sha256:HEX". */
void hash_digest(struct sha256_ctx *hash, char out[HASH_DIGEST_LEN + 1]);

/* Stores bytes in hexadecimal, with a NUL after them. */
void hash_put_hex(char *out, const uint8_t *bytes, size_t n);
