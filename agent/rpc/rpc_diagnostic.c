/* SPDX-License-Identifier: Apache-2.0 */
/* GetDiagnosticData. */
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/job/job.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/diagnostic.h"
#include "lib/cleanup.h"

#define READ_MS 10000

struct termination_work {
	int root;
	char path[];
};

static int
termination_work(struct worker *w, void *arg, struct error *err)
{
	const struct termination_work *work = arg;
	char text[TERMINATION_TEXT_MAX];

	if (termination_read(work->root, work->path, text, err) < 0)
		return -1;
	return worker_output(w, text, strlen(text), err);
}

static void
termination_done(struct job *job, const struct error *err, void *data)
{
	Grpc__GetDiagnosticDataResponse *reply = call_response(data);

	reply->data = (char *)(uintptr_t)job_output(job, NULL);
	operation_done(err, data);
}

/* Read in a worker, because the file may be on a share that does not respond. */
static const struct job_ops termination_job = {
	.name = "read termination message",
	.work = termination_work,
	.output_max = TERMINATION_TEXT_MAX,
	.done = termination_done,
};

static enum rpc_outcome
get_diagnostic_data(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__GetDiagnosticDataRequest *req = request;
	struct agent *agent = call_agent(call);
	struct job_spec job = {
		.ops = &termination_job,
		.free_arg = free,
		.data = call,
		.keep_fds = &agent->roots.root,
		.n_keep_fds = 1,
		.deadline_ms = READ_MS,
	};
	struct termination_work *work;
	auto_free char *path = NULL;

	(void)response;
	if (strcmp(req->log_type, "termination_log") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid log_type \"%.64s\": only termination_log is supported",
				 req->log_type);
	if (sandbox_termination_path(agent->sandbox, req->container_id, &path, err) < 0)
		return RPC_FAILED;
	work = job.arg = malloc(sizeof(*work) + strlen(path) + 1);
	if (!work)
		return error_nomem(err, "preparing a worker");
	work->root = agent->roots.root;
	memcpy(work->path, path, strlen(path) + 1);
	return call_park(call, job_pending(job_start(agent->jobs, &job, err)));
}

static const struct rpc_method methods[] = {
	{ "GetDiagnosticData", get_diagnostic_data, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_diagnostic = RPC_AREA(methods);
