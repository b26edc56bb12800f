/* SPDX-License-Identifier: Apache-2.0 */
/* Few sizes of allocations: a heap that is asked for ever new sizes by a peer grows without a leak. */
#pragma once

#include <stddef.h>

/* Beyond this the C library maps pages and gives them back. */
#define ROUND_MAX ((size_t)64 << 10)

/* The least power of two times `least` that holds size; size itself where that is over ROUND_MAX. */
static inline size_t
round_alloc(size_t size, size_t least)
{
	size_t power = least;

	while (power < size && power < ROUND_MAX)
		power *= 2;
	return power < size ? size : power;
}
