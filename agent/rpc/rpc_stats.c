/* SPDX-License-Identifier: Apache-2.0 */
/* StatsContainer: reads the counters of a container and its interfaces in a worker. */
#include <stdlib.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/cgroup/stats.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/rpc/stats_reply.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/call.h"

/* A parked StatsContainer call. Lives in the call's arena. */
struct stats_call {
	struct call *call;
	struct stats stats;
};

static void
stats_done(const struct error *err, void *data)
{
	struct stats_call *stats = data;
	struct call *call = stats->call;
	struct error why = *err;
	bool complete;

	if (why.code != ERROR_OK) {
		call_fail(call, &why);
		return;
	}
	complete = stats_reply(&stats->stats, call_arena(call), call_response(call));
	free(stats->stats.list);
	if (complete) {
		call_reply(call);
		return;
	}
	error_nomem(&why, "replying to StatsContainer");
	call_fail(call, &why);
}

static enum rpc_outcome
stats_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__StatsContainerRequest *req = request;
	struct stats_call *stats = arena_zalloc(call_arena(call), 1, sizeof(*stats));
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	if (!stats)
		return error_nomem(err, "reading statistics");
	stats->call = call;
	outcome = sandbox_container_stats(call_agent(call)->sandbox, req->container_id,
					  &stats->stats, stats_done, stats, &p, err);
	return operation_outcome(call, outcome, p);
}

static const struct rpc_method methods[] = {
	{ "StatsContainer", stats_container, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_stats = RPC_AREA(methods);
