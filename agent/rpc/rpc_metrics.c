/* SPDX-License-Identifier: Apache-2.0 */
/* GetMetrics. */
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/guest/guest.h"
#include "agent/guest/memagent.h"
#include "agent/guest/metrics.h"
#include "agent/rpc/calljob.h"
#include "agent/rpc/rpc.h"
#include "lib/version.h"

#define SCRAPE_MS 10000

struct scrape {
	const struct roots *roots;
	struct metrics_agent agent;
	struct memagent_counts memory;
};

static int
send_text(void *data, const void *text, size_t n, struct error *err)
{
	return calljob_send(data, text, n, err);
}

static int
scrape_work(struct worker *w, void *arg, struct error *err)
{
	const struct scrape *s = arg;

	return metrics_write(s->roots, &s->agent, send_text, w, err);
}

static int
scrape_finish(struct call *call, char *text, size_t n, struct error *err)
{
	Grpc__Metrics *reply = call_response(call);

	(void)n;
	(void)err;
	reply->metrics = text;
	return 0;
}

/* A disk that does not respond delays only the metrics of file systems, which come last. */
static const struct calljob_class scrape_class = {
	.name = "read the metrics",
	.work = scrape_work,
	.finish = scrape_finish,
	.deadline_ms = SCRAPE_MS,
	.partial = true,
};

static enum rpc_outcome
get_metrics(struct call *call, const void *request, void *response, struct error *err)
{
	struct agent *agent = call_agent(call);
	struct calljob *job = calljob_new(call, &scrape_class, sizeof(struct scrape), err);
	struct scrape *s;

	(void)request;
	(void)response;
	if (!job)
		return RPC_FAILED;
	s = calljob_arg(job);
	s->roots = &agent->roots;
	s->agent = (struct metrics_agent){
		.pid = getpid(),
		.scrapes = ++agent->guest->scrapes,
		.workers = jobs_running(agent->jobs),
		.version = tatami_version,
	};
	if (agent->memagent) {
		s->memory = memagent_counts(agent->memagent);
		s->agent.memory = &s->memory;
	}
	return calljob_start(job, err);
}

static const struct rpc_method methods[] = {
	{ "GetMetrics", get_metrics, 0 },
};
const struct rpc_area rpc_metrics = RPC_AREA(methods);
