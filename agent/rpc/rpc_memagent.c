/* SPDX-License-Identifier: Apache-2.0 */
/* MemAgentMemcgSet and MemAgentCompactSet: settings that are not sent do not change. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/guest/memagent.h"
#include "agent/rpc/rpc.h"

static struct memagent *
find_memagent(struct call *call, struct error *err)
{
	struct memagent *m = call_agent(call)->memagent;

	if (!m)
		error_set(err, ERROR_INTERNAL,
			  "mem-agent is disabled: the guest was booted without "
			  "agent.mem_agent_enable");
	return m;
}

/* Copies a field to the settings if it was sent: proto3 `optional` is a oneof of one. */
#define TAKE(to, req, field)                       \
	do {                                       \
		if ((req)->_##field##_case)        \
			(to).field = (req)->field; \
	} while (0)

static enum rpc_outcome
mem_agent_memcg_set(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__MemAgentMemcgConfig *req = request;
	struct memagent *m = find_memagent(call, err);
	struct memagent_reclaim r;

	(void)response;
	if (!m)
		return RPC_FAILED;
	r = *memagent_reclaim_settings(m);
	TAKE(r, req, disabled);
	TAKE(r, req, swap);
	TAKE(r, req, swappiness_max);
	TAKE(r, req, period_secs);
	TAKE(r, req, period_psi_percent_limit);
	TAKE(r, req, eviction_psi_percent_limit);
	TAKE(r, req, eviction_run_aging_count_min);
	return memagent_set_reclaim(m, &r, err) < 0 ? RPC_FAILED : RPC_REPLY;
}

static enum rpc_outcome
mem_agent_compact_set(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__MemAgentCompactConfig *req = request;
	struct memagent *m = find_memagent(call, err);
	struct memagent_compact c;

	(void)response;
	if (!m)
		return RPC_FAILED;
	c = *memagent_compact_settings(m);
	TAKE(c, req, disabled);
	TAKE(c, req, period_secs);
	TAKE(c, req, period_psi_percent_limit);
	TAKE(c, req, compact_psi_percent_limit);
	TAKE(c, req, compact_sec_max);
	TAKE(c, req, compact_order);
	TAKE(c, req, compact_threshold);
	TAKE(c, req, compact_force_times);
	return memagent_set_compact(m, &c, err) < 0 ? RPC_FAILED : RPC_REPLY;
}

static const struct rpc_method methods[] = {
	{ "MemAgentMemcgSet", mem_agent_memcg_set, 0 },
	{ "MemAgentCompactSet", mem_agent_compact_set, 0 },
};
const struct rpc_area rpc_memagent = RPC_AREA(methods);
