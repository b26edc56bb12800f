/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of ranges, compared with an array of flags. */
#include <string.h>

#include <criterion/criterion.h>

#include "agent/files/files_internal.h"
#include "tests/support/check.h"

#define SIZE 200

Test(files_extents, parts_in_order_are_one_range)
{
	struct extents e = { 0 };

	REQUIRE(!extents_cover(&e, 10));
	REQUIRE(extents_cover(&e, 0));
	for (uint64_t i = 0; i < 1000; i++) {
		REQUIRE(extents_add(&e, i * 7, i * 7 + 7));
		REQUIRE_EQ(e.n, 1);
	}
	REQUIRE(extents_cover(&e, 7000));
	REQUIRE(!extents_cover(&e, 7001));
	REQUIRE(extents_add(&e, UINT64_MAX - 1, UINT64_MAX));
	REQUIRE(!extents_overlap(&e, 7000, UINT64_MAX - 1));
}

Test(files_extents, too_many_ranges_are_refused)
{
	struct extents e = { 0 };

	for (uint64_t i = 0; i < EXTENTS_MAX; i++)
		REQUIRE(extents_add(&e, i * 2, i * 2 + 1));
	REQUIRE(!extents_add(&e, 1000, 1001));
	REQUIRE_EQ(e.n, EXTENTS_MAX);
	/* a range that fills a gap is always accepted */
	REQUIRE(extents_add(&e, 1, 2));
	REQUIRE_EQ(e.n, EXTENTS_MAX - 1);
	REQUIRE(extents_add(&e, 1000, 1001));
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
			REQUIRE_EQ(extents_overlap(&e, from, to), overlaps);
			REQUIRE(extents_add(&e, from, to));
			for (unsigned int k = from; k < to; k++)
				there[k] = true;
			for (unsigned int k = 0; k < SIZE; k++) {
				runs += there[k] && (k == 0 || !there[k - 1]);
				all &= there[k];
			}
			REQUIRE_EQ(e.n, runs);
			REQUIRE_EQ(extents_cover(&e, SIZE), all);
		}
	}
}
