/* SPDX-License-Identifier: Apache-2.0 */
/* The reply of StatsContainer, evaluated as hosts do: with the formulas of containerd's CRI plugin
 * and of the kubelet, applied to what the Go runtime takes from the reply on hosts with cgroup v1
 * and v2. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/rpc/stats_reply.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define MIB (1024ull * 1024)

static struct stat_record records[32];
static struct stats stats;

static void
add(enum stat_kind kind, const char *name, uint64_t value)
{
	struct stat_record *r = &records[stats.n++];

	REQUIRE_LE(stats.n, ARRAY_LEN(records));
	r->kind = kind;
	strcpy(r->name, name);
	r->value = value;
}

/* A container limited to 512 MiB that has read 300 MiB of files and uses 40 MiB. */
static void
fill_in(void)
{
	stats = (struct stats){ .list = records };
	add(STAT_MEMORY_USAGE, "", 360 * MIB);
	add(STAT_MEMORY_PEAK, "", 400 * MIB);
	add(STAT_MEMORY_LIMIT, "", 512 * MIB);
	add(STAT_SWAP_USAGE, "", 3 * MIB);
	add(STAT_MEMORY_STAT, "anon", 40 * MIB);
	add(STAT_MEMORY_STAT, "file", 310 * MIB);
	add(STAT_MEMORY_STAT, "kernel", 10 * MIB);
	add(STAT_MEMORY_STAT, "file_mapped", 8 * MIB);
	add(STAT_MEMORY_STAT, "file_dirty", 2 * MIB);
	add(STAT_MEMORY_STAT, "file_writeback", 1 * MIB);
	add(STAT_MEMORY_STAT, "anon_thp", 4 * MIB);
	add(STAT_MEMORY_STAT, "shmem", 6 * MIB);
	add(STAT_MEMORY_STAT, "inactive_anon", 38 * MIB);
	add(STAT_MEMORY_STAT, "active_anon", 2 * MIB);
	add(STAT_MEMORY_STAT, "inactive_file", 300 * MIB);
	add(STAT_MEMORY_STAT, "active_file", 4 * MIB);
	add(STAT_MEMORY_STAT, "unevictable", 5 * MIB);
	add(STAT_MEMORY_STAT, "pgfault", 12345);
	add(STAT_MEMORY_STAT, "pgmajfault", 67);
}

/* Returns the value of a name, which must be unique; 0 if there is none, like a Go map. */
static uint64_t
named(const Grpc__MemoryStats *m, const char *key)
{
	uint64_t value = 0;
	int found = 0;

	for (size_t i = 0; i < m->n_stats; i++) {
		if (strcmp(m->stats[i]->key, key) != 0)
			continue;
		value = m->stats[i]->value;
		found++;
	}
	CHECK_LE(found, 1, "%s is there %d times", key, found);
	return value;
}

static uint64_t
less(uint64_t usage, uint64_t inactive)
{
	return usage < inactive ? 0 : usage - inactive;
}

static const Grpc__MemoryStats *
reply(struct arena *arena)
{
	Grpc__StatsContainerResponse *response = arena_alloc(arena, sizeof(*response));

	REQUIRE(response);
	grpc__stats_container_response__init(response);
	REQUIRE(stats_reply(&stats, arena, response));
	return response->cgroup_stats->memory_stats;
}

/* Working set, RSS, available bytes and faults on a host with cgroup v1. */
Test(stats, formulas_of_version_1)
{
	struct arena arena;
	const Grpc__MemoryStats *m;

	arena_init(&arena, 1 << 20);
	fill_in();
	m = reply(&arena);
	CHECK_EQ(less(m->usage->usage, named(m, "total_inactive_file")), 60 * MIB);
	CHECK_EQ(m->usage->limit - less(m->usage->usage, named(m, "total_inactive_file")),
		 452 * MIB);
	/* This makes hosts use the total_ names. */
	REQUIRE(m->use_hierarchy);
	CHECK_EQ(named(m, "total_rss"), 40 * MIB);
	CHECK_EQ(named(m, "total_cache"), 310 * MIB);
	CHECK_EQ(named(m, "total_mapped_file"), 8 * MIB);
	CHECK_EQ(named(m, "rss"), 40 * MIB);
	CHECK_EQ(named(m, "cache"), 310 * MIB);
	CHECK_EQ(named(m, "mapped_file"), 8 * MIB);
	CHECK_EQ(named(m, "pgfault"), 12345);
	CHECK_EQ(named(m, "total_pgmajfault"), 67);
	CHECK_EQ(named(m, "swap"), 3 * MIB);
	CHECK_EQ(named(m, "total_swap"), 3 * MIB);
	CHECK_EQ(named(m, "dirty"), 2 * MIB);
	CHECK_EQ(named(m, "total_writeback"), 1 * MIB);
	CHECK_EQ(named(m, "rss_huge"), 4 * MIB);
	CHECK_EQ(named(m, "total_active_anon") + named(m, "total_inactive_anon"), 40 * MIB);
	CHECK_EQ(named(m, "total_unevictable"), 5 * MIB);
	CHECK_EQ(named(m, "total_shmem"), 6 * MIB);
	arena_release(&arena);
}

Test(stats, formulas_of_version_2)
{
	struct arena arena;
	const Grpc__MemoryStats *m;

	arena_init(&arena, 1 << 20);
	fill_in();
	m = reply(&arena);
	CHECK_EQ(less(m->usage->usage, named(m, "inactive_file")), 60 * MIB);
	CHECK_EQ(named(m, "anon"), 40 * MIB);
	CHECK_EQ(named(m, "file"), 310 * MIB);
	CHECK_EQ(named(m, "file_mapped"), 8 * MIB);
	CHECK_EQ(named(m, "shmem"), 6 * MIB);
	CHECK_EQ(named(m, "pgfault"), 12345);
	CHECK_EQ(named(m, "pgmajfault"), 67);
	CHECK_EQ(m->swap_usage->usage, 3 * MIB);
	arena_release(&arena);
}

/* Names from a file that the kernel does not have are left out, not sent as 0. */
Test(stats, unknown_names)
{
	struct arena arena;
	const Grpc__MemoryStats *m;

	arena_init(&arena, 1 << 20);
	stats = (struct stats){ .list = records };
	add(STAT_MEMORY_STAT, "zswap", 1);
	m = reply(&arena);
	CHECK_EQ(m->n_stats, 1);
	arena_release(&arena);
}

Test(stats, out_of_memory)
{
	struct arena arena;

	fill_in();
	for (size_t cap = 0; cap < 16384; cap += 256) {
		Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;

		arena_init(&arena, cap);
		(void)stats_reply(&stats, &arena, &response);
		arena_release(&arena);
	}
}
