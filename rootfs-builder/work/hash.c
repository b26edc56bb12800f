/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/work/hash.h"

#include <nettle/base16.h>
#include <string.h>

void
hash_text(struct sha256_ctx *hash, const char *text)
{
	sha256_update(hash, strlen(text) + 1, (const uint8_t *)text);
}

void
hash_hex(struct sha256_ctx *hash, size_t n, char *out)
{
	uint8_t sum[SHA256_DIGEST_SIZE];

	sha256_digest(hash, sizeof(sum), sum);
	hash_put_hex(out, sum, n);
}

void
hash_digest(struct sha256_ctx *hash, char out[HASH_DIGEST_LEN + 1])
{
	memcpy(out, "sha256:", 7);
	hash_hex(hash, SHA256_DIGEST_SIZE, out + 7);
}

void
hash_put_hex(char *out, const uint8_t *bytes, size_t n)
{
	base16_encode_update(out, n, bytes);
	out[BASE16_ENCODE_LENGTH(n)] = '\0';
}
