/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing processors and memory online in a fake sysfs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/guest/hotplug.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

#define CPU    "devices/system/cpu"
#define MEMORY "devices/system/memory"

static struct tree t;

static void
expect(const char *path, const char *want)
{
	char text[64];

	tree_get(t.roots.sys, path, text, sizeof(text));
	CHECK_STR(text, want, "%s is %s", path, text);
}

Test(hotplug, counts_online_processors)
{
	static const struct {
		const char *text;
		/* -1: malformed */
		int n;
	} rows[] = {
		{ "0\n", 1 },     { "0-3\n", 4 },  { "0-1,3,5-6\n", 5 },   { "255\n", 1 },
		{ "", -1 },       { "1-0\n", -1 }, { "a\n", -1 },          { "0-\n", -1 },
		{ "0--1\n", -1 }, { "0,,1", -1 },  { "0-99999999\n", -1 },
	};

	tree_make(&t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		uint32_t n = 0;
		int r;

		tree_put(t.roots.sys, CPU "/online", rows[i].text);
		r = hotplug_cpus_online(t.roots.sys, &n, &err);
		CHECK_EQ(r, rows[i].n < 0 ? -1 : 0, "%s", rows[i].text);
		if (r == 0)
			CHECK_EQ((int)n, rows[i].n, "%s", rows[i].text);
	}
	tree_remove(&t);
}

Test(hotplug, processors_up_to_the_wanted_number)
{
	struct error err = ERROR_INIT;
	uint32_t online;
	char path[64];

	tree_make(&t);
	tree_put(t.roots.sys, CPU "/online", "0\n");
	tree_put(t.roots.sys, CPU "/cpufreq/boost", "0\n");
	/* cpu0 has no such file */
	for (int i = 1; i < 12; i++) {
		(void)snprintf(path, sizeof(path), CPU "/cpu%d/online", i);
		tree_put(t.roots.sys, path, i == 2 ? "1\n" : "0\n");
	}
	CHECK_OK(hotplug_online_cpus(t.roots.sys, 1, &online, &err), &err);
	expect(CPU "/cpu1/online", "0");
	/* the number is read from the fake file `online`, which does not change */
	CHECK_OK(hotplug_online_cpus(t.roots.sys, 3, &online, &err), &err);
	CHECK_EQ(online, 1);
	expect(CPU "/cpu1/online", "1");
	expect(CPU "/cpu3/online", "1");
	expect(CPU "/cpu4/online", "0");
	expect(CPU "/cpu10/online", "0");
	tree_remove(&t);
}

Test(hotplug, all_memory)
{
	unsigned int onlined = 0;
	char path[64];

	tree_make(&t);
	CHECK_EQ(hotplug_online_memory(t.roots.sys, &onlined), 0);
	CHECK_EQ(onlined, 0);
	/* more than the list grows by at a time */
	for (int i = 0; i < 130; i++) {
		(void)snprintf(path, sizeof(path), MEMORY "/memory%d/online", i);
		tree_put(t.roots.sys, path, i % 2 ? "0\n" : "1\n");
	}
	tree_put(t.roots.sys, MEMORY "/memoryx/online", "0\n");
	CHECK_EQ(hotplug_online_memory(t.roots.sys, &onlined), 0);
	CHECK_EQ(onlined, 65);
	expect(MEMORY "/memory129/online", "1");
	expect(MEMORY "/memoryx/online", "0");
	tree_remove(&t);
}

Test(hotplug, probe_stops_at_the_first_failure)
{
	static const uint64_t good[] = { 0x140000000, 0xABC8000000 }, odd[] = { 0x140000001 };
	struct error err = ERROR_INIT;

	tree_make(&t);
	CHECK_EQ(hotplug_probe_memory(t.roots.sys, good, 2, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION, "%s", err.msg);
	tree_put(t.roots.sys, MEMORY "/probe", "");
	tree_put(t.roots.sys, MEMORY "/block_size_bytes", "8000000\n");
	CHECK_OK(hotplug_probe_memory(t.roots.sys, good, 2, &err), &err);
	expect(MEMORY "/probe", "0xABC8000000");
	CHECK_EQ(hotplug_probe_memory(t.roots.sys, odd, 1, &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", err.msg);
	CHECK_OK(hotplug_probe_memory(t.roots.sys, odd, 0, &err), &err);
	tree_remove(&t);
}

/* ACPI or an earlier call may have added a block; that succeeds even if the kernel lacks the
 * interface. */
Test(hotplug, existing_blocks_are_not_probed)
{
	static const uint64_t both[] = { 0x140000000, 0x148000000 };
	struct error err = ERROR_INIT;

	tree_make(&t);
	tree_put(t.roots.sys, MEMORY "/block_size_bytes", "8000000\n");
	tree_put(t.roots.sys, MEMORY "/memory40/state", "online\n");
	CHECK_OK(hotplug_probe_memory(t.roots.sys, both, 1, &err), &err);
	CHECK_EQ(hotplug_probe_memory(t.roots.sys, both, 2, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION, "%s", err.msg);
	tree_put(t.roots.sys, MEMORY "/probe", "");
	CHECK_OK(hotplug_probe_memory(t.roots.sys, both, 2, &err), &err);
	expect(MEMORY "/probe", "0x148000000");
	tree_put(t.roots.sys, MEMORY "/memory41/state", "offline\n");
	tree_put(t.roots.sys, MEMORY "/probe", "");
	CHECK_OK(hotplug_probe_memory(t.roots.sys, both, 2, &err), &err);
	expect(MEMORY "/probe", "");
	tree_remove(&t);
}
