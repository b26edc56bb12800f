/* SPDX-License-Identifier: Apache-2.0 */
/* GetMetrics. */
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/guest/guest.h"
#include "agent/guest/memagent.h"
#include "agent/guest/scrape.h"
#include "agent/job/job.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "lib/version.h"

struct metrics_call {
	/* Must be first. */
	struct scrape_waiter waiter;
	struct call *call;
};

static void
metrics_done(struct scrape_waiter *w, const char *text, const struct error *err)
{
	struct call *call = ((struct metrics_call *)w)->call;
	Grpc__Metrics *reply = call_response(call);

	reply->metrics = (char *)(uintptr_t)text;
	operation_done(err, call);
}

static enum rpc_outcome
get_metrics(struct call *call, const void *request, void *response, struct error *err)
{
	struct agent *agent = call_agent(call);
	struct metrics_call *m = arena_zalloc(call_arena(call), 1, sizeof(*m));

	(void)request;
	(void)response;
	if (!m)
		return error_nomem(err, "reading the metrics");
	m->call = call;
	m->waiter.done = metrics_done;
	m->waiter.agent = (struct metrics_agent){
		.pid = getpid(),
		.scrapes = ++agent->guest->scrapes,
		.workers = jobs_running(agent->jobs),
		.version = tatami_version,
	};
	m->waiter.has_memory = agent->memagent != NULL;
	if (agent->memagent)
		m->waiter.memory = memagent_counts(agent->memagent);
	return call_park(call, scrape_metrics(agent->guest, &m->waiter, err));
}

static const struct rpc_method methods[] = {
	{ "GetMetrics", get_metrics, 0 },
};
const struct rpc_area rpc_metrics = RPC_AREA(methods);
