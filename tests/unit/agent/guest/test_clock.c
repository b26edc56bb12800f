/* SPDX-License-Identifier: Apache-2.0 */
/* Correction of the clock, and the choice of the PTP device. The clock itself is set in VMs
 * only. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/guest/clock.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

Test(clock, invalid_times)
{
	static const struct {
		int64_t sec, usec;
	} rows[] = {
		{ -1, 0 },        { 0, -1 },        { 5, 1000000 },
		{ INT64_MIN, 0 }, { 5, INT64_MAX }, { INT64_MAX, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		CHECK_EQ(clock_set(rows[i].sec, rows[i].usec, &err), -1, "row %zu", i);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "row %zu: %s", i, err.msg);
	}
}

Test(clock, large_offsets_are_stepped)
{
	CHECK_EQ(clock_action(0), CLOCK_FINE);
	CHECK_EQ(clock_action(-1000), CLOCK_FINE);
	CHECK_EQ(clock_action(1001), CLOCK_SLEW);
	CHECK_EQ(clock_action(-99999999), CLOCK_SLEW);
	CHECK_EQ(clock_action(CLOCK_STEP_NS), CLOCK_STEP);
	CHECK_EQ(clock_action(-CLOCK_STEP_NS), CLOCK_STEP);
	CHECK_EQ(clock_action(INT64_MIN), CLOCK_STEP);
}

Test(clock, offset_from_the_closest_pair)
{
	/* guest, host, guest, ...: the second comparison took 10 ns, the others longer */
	static const int64_t readings[] = { 100, 1150, 200, 1205, 210, 1500, 310 };

	CHECK_EQ(clock_offset(readings, 3), 1000);
	CHECK_EQ(clock_offset(readings, 1), 1000);
	CHECK_EQ(clock_offset(readings + 4, 1), 1240);
}

Test(clock, finds_the_clock_of_the_hypervisor)
{
	struct tree t;
	char name[16] = "";

	tree_make(&t);
	CHECK(!clock_find_ptp(t.roots.sys, name, sizeof(name)));
	tree_put(t.roots.sys, "class/ptp/ptp0/clock_name", "some network card\n");
	CHECK(!clock_find_ptp(t.roots.sys, name, sizeof(name)));
	tree_put(t.roots.sys, "class/ptp/ptp1/clock_name", "KVM virtual PTP\n");
	CHECK(clock_find_ptp(t.roots.sys, name, sizeof(name)));
	CHECK_STR(name, "ptp1");
	CHECK(!clock_find_ptp(t.roots.sys, name, 4), "the name does not fit");
	tree_remove(&t);
}
