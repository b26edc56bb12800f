/* SPDX-License-Identifier: Apache-2.0 */
/* See stats_reply.h. */
#include "agent/rpc/stats_reply.h"

#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

/* The maximum number of entries in MemoryStats.stats for one record. */
#define NAMES_PER_STAT 3

/* The reply under construction: all its messages exist, and every list is long enough. */
struct reply {
	struct arena *arena;
	Grpc__CpuUsage *cpu;
	Grpc__ThrottlingData *throttling;
	Grpc__MemoryStats *memory;
	Grpc__PidsStats *pids;
	Grpc__BlkioStats *io;
	Grpc__CgroupStats *cgroup;
	Grpc__StatsContainerResponse *response;
};

/* Allocates an initialised message in the arena. */
#define NEW(reply, init, type)                                          \
	({                                                              \
		type *new_ = arena_alloc((reply)->arena, sizeof(type)); \
		if (new_)                                               \
			init(new_);                                     \
		new_;                                                   \
	})

static bool make_reply(struct reply *r, size_t n);
static bool add_record(struct reply *r, const struct stat_record *s);
static uint64_t *stats_reply_place(struct reply *r, uint32_t kind);
static bool add_io(struct reply *r, const struct stat_record *s);
static bool add_hugetlb(struct reply *r, const struct stat_record *s);
static bool add_net(struct reply *r, const struct stat_record *s);

bool
stats_reply(const struct stats *stats, struct arena *arena, Grpc__StatsContainerResponse *response)
{
	struct reply r = { .arena = arena, .response = response };

	if (!make_reply(&r, stats->n + 1))
		return false;
	for (size_t i = 0; i < stats->n; i++) {
		if (!add_record(&r, &stats->list[i]))
			return false;
	}
	return true;
}

static bool
make_memory(struct reply *r)
{
	r->memory = NEW(r, grpc__memory_stats__init, Grpc__MemoryStats);
	if (!r->memory)
		return false;
	r->memory->use_hierarchy = true;
	r->memory->usage = NEW(r, grpc__memory_data__init, Grpc__MemoryData);
	r->memory->swap_usage = NEW(r, grpc__memory_data__init, Grpc__MemoryData);
	r->memory->kernel_usage = NEW(r, grpc__memory_data__init, Grpc__MemoryData);
	if (!r->memory->usage || !r->memory->swap_usage || !r->memory->kernel_usage)
		return false;
	/* cgroup v2 has no such limit. */
	r->memory->kernel_usage->limit = UINT64_MAX;
	return true;
}

/* Allocates all messages, and lists of n entries (NAMES_PER_STAT times n for the names of memory
 * counters). An unused entry costs a pointer until the call's arena is freed. */
static bool
make_reply(struct reply *r, size_t n)
{
	Grpc__CpuStats *cpu = NEW(r, grpc__cpu_stats__init, Grpc__CpuStats);

	r->cgroup = NEW(r, grpc__cgroup_stats__init, Grpc__CgroupStats);
	r->cpu = NEW(r, grpc__cpu_usage__init, Grpc__CpuUsage);
	r->throttling = NEW(r, grpc__throttling_data__init, Grpc__ThrottlingData);
	r->pids = NEW(r, grpc__pids_stats__init, Grpc__PidsStats);
	r->io = NEW(r, grpc__blkio_stats__init, Grpc__BlkioStats);
	if (!cpu || !r->cgroup || !r->cpu || !r->throttling || !r->pids || !r->io ||
	    !make_memory(r))
		return false;
	cpu->cpu_usage = r->cpu;
	cpu->throttling_data = r->throttling;
	r->cgroup->cpu_stats = cpu;
	r->cgroup->memory_stats = r->memory;
	r->cgroup->pids_stats = r->pids;
	r->cgroup->blkio_stats = r->io;
	r->response->cgroup_stats = r->cgroup;
	r->memory->stats = arena_zalloc(r->arena, n * NAMES_PER_STAT, sizeof(*r->memory->stats));
	r->io->io_service_bytes_recursive =
		arena_zalloc(r->arena, n, sizeof(*r->io->io_service_bytes_recursive));
	r->io->io_serviced_recursive =
		arena_zalloc(r->arena, n, sizeof(*r->io->io_serviced_recursive));
	r->cgroup->hugetlb_stats = arena_zalloc(r->arena, n, sizeof(*r->cgroup->hugetlb_stats));
	r->response->network_stats = arena_zalloc(r->arena, n, sizeof(*r->response->network_stats));
	return r->memory->stats && r->io->io_service_bytes_recursive &&
	       r->io->io_serviced_recursive && r->cgroup->hugetlb_stats &&
	       r->response->network_stats;
}

static bool
add_name(struct reply *r, const char *prefix, const char *name, uint64_t value)
{
	Grpc__MemoryStats__StatsEntry *e =
		NEW(r, grpc__memory_stats__stats_entry__init, Grpc__MemoryStats__StatsEntry);
	char key[sizeof("total_") + STAT_NAME_MAX];

	if (!e)
		return false;
	(void)snprintf(key, sizeof(key), "%s%s", prefix, name);
	e->key = arena_strdup(r->arena, key);
	e->value = value;
	r->memory->stats[r->memory->n_stats++] = e;
	return e->key != NULL;
}

/* Keys of memory.stat that cgroup v1 has, too, and their names there. Version 1 counts the cgroup
 * alone under the plain name and its subtree under "total_" and the name; version 2 counts only the
 * subtree. For the working set, the kubelet and containerd subtract "total_inactive_file" from the
 * usage on a host with version 1, and "inactive_file" on one with version 2. */
static const struct {
	const char *v2, *v1;
} memory_names[] = {
	{ "anon", "rss" },
	{ "anon_thp", "rss_huge" },
	{ "file", "cache" },
	{ "file_mapped", "mapped_file" },
	{ "file_dirty", "dirty" },
	{ "file_writeback", "writeback" },
	{ "shmem", "shmem" },
	{ "pgfault", "pgfault" },
	{ "pgmajfault", "pgmajfault" },
	{ "inactive_anon", "inactive_anon" },
	{ "active_anon", "active_anon" },
	{ "inactive_file", "inactive_file" },
	{ "active_file", "active_file" },
	{ "unevictable", "unevictable" },
};

static bool
add_memory_stat(struct reply *r, const struct stat_record *s)
{
	if (!add_name(r, "", s->name, s->value))
		return false;
	if (strcmp(s->name, "file") == 0)
		r->memory->cache = s->value;
	if (strcmp(s->name, "kernel") == 0)
		r->memory->kernel_usage->usage = s->value;
	for (size_t i = 0; i < ARRAY_LEN(memory_names); i++) {
		if (strcmp(memory_names[i].v2, s->name) != 0)
			continue;
		return (strcmp(memory_names[i].v1, s->name) == 0 ||
			add_name(r, "", memory_names[i].v1, s->value)) &&
		       add_name(r, "total_", memory_names[i].v1, s->value);
	}
	return true;
}

static bool
add_record(struct reply *r, const struct stat_record *s)
{
	uint64_t *at = stats_reply_place(r, s->kind);

	/* Hosts take 0 as "no limit" for these two. */
	if (at && s->value == UINT64_MAX &&
	    (s->kind == STAT_PIDS_LIMIT || s->kind == STAT_SWAP_LIMIT))
		return true;
	if (at) {
		*at = s->value;
		/* A separate file in cgroup v2, a key of memory.stat in v1. */
		return s->kind != STAT_SWAP_USAGE || (add_name(r, "", "swap", s->value) &&
						      add_name(r, "total_", "swap", s->value));
	}
	switch ((enum stat_kind)s->kind) {
	case STAT_MEMORY_STAT:
		return add_memory_stat(r, s);
	case STAT_IO:
		return add_io(r, s);
	case STAT_HUGETLB_USAGE:
	case STAT_HUGETLB_FAILCNT:
		return add_hugetlb(r, s);
	case STAT_NET:
		return add_net(r, s);
	default:
		return true;
	}
}

/* Returns the field of a single counter; NULL for a counter that goes to a list. */
static uint64_t *
stats_reply_place(struct reply *r, uint32_t kind)
{
	switch ((enum stat_kind)kind) {
	case STAT_CPU_TOTAL:
		return &r->cpu->total_usage;
	case STAT_CPU_USER:
		return &r->cpu->usage_in_usermode;
	case STAT_CPU_SYSTEM:
		return &r->cpu->usage_in_kernelmode;
	case STAT_CPU_THROTTLED_TIME:
		return &r->throttling->throttled_time;
	case STAT_CPU_PERIODS:
		return &r->throttling->periods;
	case STAT_CPU_THROTTLED:
		return &r->throttling->throttled_periods;
	case STAT_MEMORY_USAGE:
		return &r->memory->usage->usage;
	case STAT_MEMORY_PEAK:
		return &r->memory->usage->max_usage;
	case STAT_MEMORY_FAILCNT:
		return &r->memory->usage->failcnt;
	case STAT_MEMORY_LIMIT:
		return &r->memory->usage->limit;
	case STAT_SWAP_USAGE:
		return &r->memory->swap_usage->usage;
	case STAT_SWAP_PEAK:
		return &r->memory->swap_usage->max_usage;
	case STAT_SWAP_FAILCNT:
		return &r->memory->swap_usage->failcnt;
	case STAT_SWAP_LIMIT:
		return &r->memory->swap_usage->limit;
	case STAT_PIDS_CURRENT:
		return &r->pids->current;
	case STAT_PIDS_LIMIT:
		return &r->pids->limit;
	default:
		return NULL;
	}
}

static Grpc__BlkioStatsEntry *
new_io(struct reply *r, const struct stat_record *s, const char *op)
{
	Grpc__BlkioStatsEntry *e = NEW(r, grpc__blkio_stats_entry__init, Grpc__BlkioStatsEntry);

	if (!e)
		return NULL;
	e->major = s->major;
	e->minor = s->minor;
	e->value = s->value;
	e->op = arena_strdup(r->arena, op);
	return e->op ? e : NULL;
}

/* Hosts with cgroup v2 look for all of these in one list; hosts with v1 look for operations in
 * another. */
static bool
add_io(struct reply *r, const struct stat_record *s)
{
	static const struct {
		const char *key, *bytes, *serviced;
	} ops[] = {
		{ "rbytes", "read", NULL },   { "wbytes", "write", NULL },
		{ "rios", "rios", "read" },   { "wios", "wios", "write" },
		{ "dbytes", "dbytes", NULL }, { "dios", "dios", "discard" },
	};
	Grpc__BlkioStatsEntry *e;

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (strcmp(ops[i].key, s->name) != 0)
			continue;
		e = new_io(r, s, ops[i].bytes);
		if (!e)
			return false;
		r->io->io_service_bytes_recursive[r->io->n_io_service_bytes_recursive++] = e;
		if (!ops[i].serviced)
			return true;
		e = new_io(r, s, ops[i].serviced);
		if (!e)
			return false;
		r->io->io_serviced_recursive[r->io->n_io_serviced_recursive++] = e;
		return true;
	}
	return true;
}

/* A page size has two consecutive records. */
static bool
add_hugetlb(struct reply *r, const struct stat_record *s)
{
	size_t n = r->cgroup->n_hugetlb_stats;
	Grpc__CgroupStats__HugetlbStatsEntry *e = n ? r->cgroup->hugetlb_stats[n - 1] : NULL;

	if (!e || strcmp(e->key, s->name) != 0) {
		e = NEW(r, grpc__cgroup_stats__hugetlb_stats_entry__init,
			Grpc__CgroupStats__HugetlbStatsEntry);
		if (!e)
			return false;
		e->key = arena_strdup(r->arena, s->name);
		e->value = NEW(r, grpc__hugetlb_stats__init, Grpc__HugetlbStats);
		if (!e->key || !e->value)
			return false;
		r->cgroup->hugetlb_stats[r->cgroup->n_hugetlb_stats++] = e;
	}
	if (s->kind == STAT_HUGETLB_USAGE)
		e->value->usage = s->value;
	else
		e->value->failcnt = s->value;
	return true;
}

static void
set_net(Grpc__NetworkStats *e, uint32_t field, uint64_t value)
{
	uint64_t *const fields[STAT_NET_FIELDS] = {
		&e->rx_bytes, &e->rx_packets, &e->rx_errors, &e->rx_dropped,
		&e->tx_bytes, &e->tx_packets, &e->tx_errors, &e->tx_dropped,
	};

	if (field < STAT_NET_FIELDS)
		*fields[field] = value;
}

static bool
add_net(struct reply *r, const struct stat_record *s)
{
	size_t n = r->response->n_network_stats;
	Grpc__NetworkStats *e = n ? r->response->network_stats[n - 1] : NULL;

	if (!e || strcmp(e->name, s->name) != 0) {
		e = NEW(r, grpc__network_stats__init, Grpc__NetworkStats);
		if (!e)
			return false;
		e->name = arena_strdup(r->arena, s->name);
		if (!e->name)
			return false;
		r->response->network_stats[r->response->n_network_stats++] = e;
	}
	set_net(e, s->major, s->value);
	return true;
}
