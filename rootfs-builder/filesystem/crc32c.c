/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/filesystem/crc32c.h"

/* The polynomial, reflected. */
#define POLYNOMIAL 0x82f63b78u

uint32_t
crc32c(uint32_t crc, const void *data, size_t n)
{
	static uint32_t table[256];
	const uint8_t *bytes = data;

	if (!table[1]) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
			table[i] = c;
		}
	}
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return crc;
}
