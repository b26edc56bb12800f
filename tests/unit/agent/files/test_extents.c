/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of ranges, compared with an array of flags. */
#include <string.h>

#include <criterion/criterion.h>

#include "agent/files/files_internal.h"

#define SIZE 200

Test(files_extents, parts_in_order_are_one_range)
{
	struct extents e = { 0 };

	cr_assert(!extents_cover(&e, 10));
	cr_assert(extents_cover(&e, 0));
	for (uint64_t i = 0; i < 1000; i++) {
		cr_assert(extents_add(&e, i * 7, i * 7 + 7));
		cr_assert_eq(e.n, 1);
	}
	cr_assert(extents_cover(&e, 7000));
	cr_assert(!extents_cover(&e, 7001));
	cr_assert(extents_add(&e, UINT64_MAX - 1, UINT64_MAX));
	cr_assert(!extents_overlap(&e, 7000, UINT64_MAX - 1));
}

Test(files_extents, too_many_ranges_are_refused)
{
	struct extents e = { 0 };

	for (uint64_t i = 0; i < EXTENTS_MAX; i++)
		cr_assert(extents_add(&e, i * 2, i * 2 + 1));
	cr_assert(!extents_add(&e, 1000, 1001));
	cr_assert_eq(e.n, EXTENTS_MAX);
	/* a range that fills a gap is always accepted */
	cr_assert(extents_add(&e, 1, 2));
	cr_assert_eq(e.n, EXTENTS_MAX - 1);
	cr_assert(extents_add(&e, 1000, 1001));
}

static unsigned int
next(unsigned int *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

Test(files_extents, random_ranges)
{
	unsigned int seed = 1;

	for (int round = 0; round < 500; round++) {
		bool there[SIZE] = { false };
		struct extents e = { 0 };

		for (int i = 0; i < 40; i++) {
			unsigned int from = next(&seed) % SIZE, n = next(&seed) % 20, runs = 0;
			unsigned int to = from + n > SIZE ? SIZE : from + n;
			bool overlaps = false, all = true;

			for (unsigned int k = from; k < to; k++)
				overlaps |= there[k];
			cr_assert_eq(extents_overlap(&e, from, to), overlaps);
			cr_assert(extents_add(&e, from, to));
			for (unsigned int k = from; k < to; k++)
				there[k] = true;
			for (unsigned int k = 0; k < SIZE; k++) {
				runs += there[k] && (k == 0 || !there[k - 1]);
				all &= there[k];
			}
			cr_assert_eq(e.n, runs);
			cr_assert_eq(extents_cover(&e, SIZE), all);
		}
	}
}
