/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of file systems: CRC-32C (Castagnoli), without the inversions at begin and end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Returns the checksum of n bytes that follow others with the checksum `crc`. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
