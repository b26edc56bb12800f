/* SPDX-License-Identifier: Apache-2.0 */
/* The memory agent: reading files, checking settings, and reclaim of a fake container. Its effect
 * is tested in VMs. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/guest/memagent.h"
#include "agent/guest/memagent_work.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

static struct tree t;

Test(memagent, pressure_files)
{
	static const struct {
		const char *text;
		/* -1: malformed */
		long long total;
	} rows[] = {
		{ "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 total=5\n",
		  77 },
		{ "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", -1 },
		{ "some avg10=0.00 avg60=0.00\nfull total=5\n", -1 },
		{ "some total=x\n", -1 },
		{ "some total=99999999999999999999\n", -1 },
		{ "", -1 },
	};

	tree_make(&t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t usec = 0;

		tree_put(t.roots.proc, "pressure/memory", rows[i].text);
		CHECK_EQ(memagent_stalled(t.roots.proc, "pressure/memory", &usec),
			 rows[i].total >= 0, "row %zu", i);
		if (rows[i].total >= 0)
			CHECK_EQ(usec, (uint64_t)rows[i].total);
	}
	CHECK(!memagent_stalled(t.roots.proc, "pressure/none", &(uint64_t){ 0 }));
	tree_remove(&t);
}

Test(memagent, fragments)
{
	uint64_t pages;

	tree_make(&t);
	CHECK(!memagent_fragments(t.roots.proc, 3, &pages));
	tree_put(t.roots.proc, "buddyinfo",
		 "Node 0, zone      DMA      1      1      1     10\n"
		 "Node 0, zone   Normal      5      0      2      7\n");
	CHECK(memagent_fragments(t.roots.proc, 3, &pages));
	CHECK_EQ(pages, 1 + 2 + 4 + 5 + 8);
	CHECK(memagent_fragments(t.roots.proc, 1, &pages));
	CHECK_EQ(pages, 6);
	CHECK(memagent_fragments(t.roots.proc, 255, &pages), "more orders than the file has");
	CHECK_EQ(pages, 1 + 2 + 4 + 80 + 5 + 8 + 56);
	tree_put(t.roots.proc, "buddyinfo", "Node\nzone\nzone x\nNode 0, zone Normal x y\n");
	CHECK(memagent_fragments(t.roots.proc, 3, &pages));
	CHECK_EQ(pages, 0);
	tree_remove(&t);
}

static const struct memagent_reclaim good_reclaim = {
	.swappiness_max = 50,
	.period_secs = 600,
	.period_psi_percent_limit = 1,
	.eviction_psi_percent_limit = 1,
	.eviction_run_aging_count_min = 3,
};
static const struct memagent_compact good_compact = {
	.period_secs = 600,
	.period_psi_percent_limit = 1,
	.compact_psi_percent_limit = 5,
	.compact_sec_max = 300,
	.compact_order = 9,
	.compact_threshold = 1024,
	.compact_force_times = INT64_MAX,
};

#define EXPECT_REFUSED(kind, field, value)                                                   \
	do {                                                                                 \
		struct memagent_##kind s = good_##kind;                                      \
		struct error why_ = ERROR_INIT;                                              \
		s.field = (value);                                                           \
		CHECK_FAILS(memagent_check_##kind(&s, &why_), &why_, ERROR_INVALID_ARGUMENT, \
			    #field);                                                         \
	} while (0)

Test(memagent, invalid_settings_are_named)
{
	struct error err = ERROR_INIT;

	CHECK_OK(memagent_check_reclaim(&good_reclaim, &err), &err);
	CHECK_OK(memagent_check_compact(&good_compact, &err), &err);
	EXPECT_REFUSED(reclaim, period_secs, 0);
	EXPECT_REFUSED(reclaim, period_secs, UINT64_MAX);
	EXPECT_REFUSED(reclaim, swappiness_max, 201);
	EXPECT_REFUSED(reclaim, period_psi_percent_limit, 101);
	EXPECT_REFUSED(reclaim, eviction_psi_percent_limit, 101);
	EXPECT_REFUSED(compact, period_secs, 0);
	EXPECT_REFUSED(compact, compact_order, 0);
	EXPECT_REFUSED(compact, compact_sec_max, 0);
	EXPECT_REFUSED(compact, compact_sec_max, -1);
	EXPECT_REFUSED(compact, compact_sec_max, INT64_MAX);
	EXPECT_REFUSED(compact, compact_psi_percent_limit, 101);
}

/* ---- one container over several periods ---- */

static struct memagent_target target;
static struct memagent_reclaim_work work;

static void
begin(void)
{
	tree_make(&t);
	target = (struct memagent_target){ .path = "pods/c1" };
	work = (struct memagent_reclaim_work){
		.cgroup = t.roots.cgroup,
		.proc = t.roots.proc,
		.settings = good_reclaim,
		.elapsed_usec = 1000000,
		.targets = &target,
		.n = 1,
	};
	work.settings.eviction_run_aging_count_min = 2;
	tree_put(t.roots.proc, "swaps", "Filename\tType\n");
	tree_put(t.roots.cgroup, "pods/c1/memory.stat",
		 "anon 5\ninactive_anon 1000\ninactive_file 3000\ninactive_filex 9\n");
	tree_put(t.roots.cgroup, "pods/c1/memory.current", "100000\n");
	tree_put(t.roots.cgroup, "pods/c1/memory.reclaim", "");
	tree_put(t.roots.cgroup, "pods/c1/io.pressure", "some total=0\n");
}

/* Runs one period that ends with this pressure. Returns the request to memory.reclaim, "" if there
 * was none. */
static const char *
period(const char *pressure)
{
	static char asked[64];

	tree_put(t.roots.cgroup, "pods/c1/memory.reclaim", "");
	tree_put(t.roots.cgroup, "pods/c1/memory.pressure", pressure);
	memagent_look_at(&work, &target);
	target.is_known = true;
	tree_get(t.roots.cgroup, "pods/c1/memory.reclaim", asked, sizeof(asked));
	return asked;
}

Test(memagent, reclaim_after_quiet_periods_only)
{
	begin();
	CHECK_STR(period("some total=500\n"), "", "first period");
	CHECK_STR(period("some total=500\n"), "", "one quiet period");
	CHECK_STR(period("some total=10500\n"), "3000 swappiness=0", "1 %% of pressure");
	CHECK_STR(period("some total=40500\n"), "", "3 %% of pressure");
	CHECK_EQ(target.quiet, 0);
	CHECK_STR(period("some total=40500\n"), "", "one quiet period again");
	CHECK_STR(period("some total=40500\n"), "3000 swappiness=0");
	tree_put(t.roots.cgroup, "pods/c1/io.pressure", "some total=90000\n");
	CHECK_STR(period("some total=40500\n"), "", "pressure of io");
	tree_remove(&t);
}

Test(memagent, anonymous_memory_only_with_swap)
{
	begin();
	work.settings.eviction_run_aging_count_min = 0;
	work.settings.swap = true;
	(void)period("some total=0\n");
	CHECK_STR(period("some total=0\n"), "3000 swappiness=0", "no swap");
	tree_put(t.roots.proc, "swaps", "Filename\tType\n/dev/vdb partition 1 0 -2\n");
	CHECK_STR(period("some total=0\n"), "4000 swappiness=50");
	tree_remove(&t);
}

Test(memagent, no_reclaim_without_pressure_file_or_container)
{
	begin();
	work.settings.eviction_run_aging_count_min = 0;
	CHECK_STR(period(""), "");
	CHECK_STR(period(""), "", "empty pressure file");
	memcpy(target.path, "pods/c9", sizeof("pods/c9"));
	CHECK_STR(period("some total=0\n"), "", "removed container");
	tree_remove(&t);
}
