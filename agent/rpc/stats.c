/* SPDX-License-Identifier: Apache-2.0 */
/* StatsContainer: the numbers of agent/cgroup/stats.h as hosts know them, whose names are those of cgroup v1. */
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/cgroup/stats.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/call.h"

/* In the call's arena. */
struct stats_call {
	struct call *call;
	struct stats stats;
};

/* Where the reply is being filled in: every message of it is there, and every list is long enough. */
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

/* A message in the arena, initialised. */
#define NEW(reply, init, type)                                          \
	({                                                              \
		type *new_ = arena_alloc((reply)->arena, sizeof(type)); \
		if (new_)                                               \
			init(new_);                                     \
		new_;                                                   \
	})

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
	/* there is no such limit in version 2 */
	r->memory->kernel_usage->limit = UINT64_MAX;
	return true;
}

/* All messages, and lists for n entries each: what is not used is a few pointers in memory that goes with the call. */
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
	r->memory->stats = arena_zalloc(r->arena, n, sizeof(*r->memory->stats));
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
add_memory_stat(struct reply *r, const struct stat_record *s)
{
	Grpc__MemoryStats__StatsEntry *e =
		NEW(r, grpc__memory_stats__stats_entry__init, Grpc__MemoryStats__StatsEntry);

	if (!e)
		return false;
	e->key = arena_strdup(r->arena, s->name);
	e->value = s->value;
	r->memory->stats[r->memory->n_stats++] = e;
	/* what version 1 called so */
	if (strcmp(s->name, "file") == 0)
		r->memory->cache = s->value;
	if (strcmp(s->name, "kernel") == 0)
		r->memory->kernel_usage->usage = s->value;
	return e->key != NULL;
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

/* Hosts of version 2 look for all of these in one list; those of version 1 for operations in another. */
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

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
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

/* Of one page size there are two numbers, one after the other. */
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

/* Where a single number goes; NULL for those of a list. */
static uint64_t *
place(struct reply *r, uint32_t kind)
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

static bool
add_record(struct reply *r, const struct stat_record *s)
{
	uint64_t *at = place(r, s->kind);

	/* hosts read 0 as "no limit" of these two */
	if (at && s->value == UINT64_MAX &&
	    (s->kind == STAT_PIDS_LIMIT || s->kind == STAT_SWAP_LIMIT))
		return true;
	if (at) {
		*at = s->value;
		return true;
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

static void
stats_done(const struct error *err, void *data)
{
	struct stats_call *stats = data;
	struct call *call = stats->call;
	struct reply r = { .arena = call_arena(call), .response = call_response(call) };
	struct error why = *err;
	bool complete;

	if (why.code != ERROR_OK) {
		call_fail(call, &why);
		return;
	}
	complete = make_reply(&r, stats->stats.n + 1);
	for (size_t i = 0; complete && i < stats->stats.n; i++)
		complete = add_record(&r, &stats->stats.list[i]);
	free(stats->stats.list);
	if (complete) {
		call_reply(call);
		return;
	}
	error_nomem(&why, "answering StatsContainer");
	call_fail(call, &why);
}

static enum rpc_outcome
stats_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__StatsContainerRequest *req = request;
	struct stats_call *stats = arena_zalloc(call_arena(call), 1, sizeof(*stats));
	struct op *op = NULL;
	enum op_outcome outcome;

	(void)response;
	if (!stats)
		return error_nomem(err, "reading statistics");
	stats->call = call;
	outcome = sandbox_container_stats(call_agent(call)->sandbox, req->container_id,
					  &stats->stats, stats_done, stats, &op, err);
	return operation_outcome(call, outcome, op, true);
}

static const struct rpc_method methods[] = {
	{ "StatsContainer", stats_container, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_stats = RPC_AREA(methods);
