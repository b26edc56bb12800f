/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding of allocation sizes: a heap with many different sizes, chosen by a peer, fragments and
 * grows. */
#pragma once

#include <stddef.h>

/* Above this the C library maps pages and unmaps them on free(). */
#define ROUND_MAX ((size_t)64 << 10)

/* Returns the smallest power of two times `least` that is at least size, or size itself if that
 * exceeds ROUND_MAX. */
static inline size_t
round_alloc(size_t size, size_t least)
{
	size_t power = least;

	while (power < size && power < ROUND_MAX)
		power *= 2;
	return power < size ? size : power;
}
