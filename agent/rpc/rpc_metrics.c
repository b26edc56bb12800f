/* SPDX-License-Identifier: Apache-2.0 */
/* GetMetrics. */
#include <stdlib.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/guest/guest.h"
#include "agent/guest/memagent.h"
#include "agent/guest/metrics.h"
#include "agent/job/job.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/version.h"

#define SCRAPE_MS 10000
/* Must fit a frame. */
#define SCRAPE_MAX ((4u << 20) - 4096)

struct scrape {
	const struct roots *roots;
	struct metrics_agent agent;
	struct memagent_counts memory;
};

static int
send_text(void *data, const void *text, size_t n, struct error *err)
{
	return worker_output(data, text, n, err);
}

static int
scrape_work(struct worker *w, void *arg, struct error *err)
{
	const struct scrape *s = arg;

	return metrics_write(s->roots, &s->agent, send_text, w, err);
}

/* Replies with all that was read in time: a disk that does not respond delays only the metrics of
 * file systems, which come last. */
static void
scrape_done(struct job *job, const struct error *err, void *data)
{
	Grpc__Metrics *reply = call_response(data);
	struct error why = *err;
	size_t n;

	reply->metrics = (char *)(uintptr_t)job_output(job, &n);
	if (why.code == ERROR_DEADLINE_EXCEEDED && n > 0) {
		log_warn("agent", "read the metrics: %s; replying with the partial result",
			 why.msg);
		why = ERROR_INIT;
	}
	operation_done(&why, data);
}

static const struct job_ops scrape_job = {
	.name = "read the metrics",
	.work = scrape_work,
	.output_max = SCRAPE_MAX,
	.done = scrape_done,
};

static enum rpc_outcome
get_metrics(struct call *call, const void *request, void *response, struct error *err)
{
	struct agent *agent = call_agent(call);
	const int fds[] = { agent->roots.proc, agent->roots.cgroup, agent->roots.root };
	struct scrape *s = calloc(1, sizeof(*s));
	const struct job_spec job = {
		.ops = &scrape_job,
		.arg = s,
		.free_arg = free,
		.data = call,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = SCRAPE_MS,
	};

	(void)request;
	(void)response;
	if (!s)
		return error_nomem(err, "preparing a worker");
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
	return call_park(call, job_pending(job_start(agent->jobs, &job, err)));
}

static const struct rpc_method methods[] = {
	{ "GetMetrics", get_metrics, 0 },
};
const struct rpc_area rpc_metrics = RPC_AREA(methods);
