/* SPDX-License-Identifier: Apache-2.0 */
/* GetDiagnosticData. */
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/calljob.h"
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
	return calljob_send(w, text, strlen(text), err);
}

static int
termination_finish(struct call *call, char *text, size_t n, struct error *err)
{
	Grpc__GetDiagnosticDataResponse *reply = call_response(call);

	(void)n;
	(void)err;
	reply->data = text;
	return 0;
}

/* Read in a worker, because the file may be on a share that does not respond. */
static const struct calljob_class termination_class = {
	.name = "read termination message",
	.work = termination_work,
	.finish = termination_finish,
	.deadline_ms = READ_MS,
};

static enum rpc_outcome
get_diagnostic_data(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__GetDiagnosticDataRequest *req = request;
	struct agent *agent = call_agent(call);
	struct termination_work *work;
	auto_free char *path = NULL;
	struct calljob *job;

	(void)response;
	if (strcmp(req->log_type, "termination_log") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid log_type \"%.64s\": only termination_log is supported",
				 req->log_type);
	if (sandbox_termination_path(agent->sandbox, req->container_id, &path, err) < 0)
		return RPC_FAILED;
	job = calljob_new(call, &termination_class, sizeof(*work) + strlen(path) + 1, err);
	if (!job)
		return RPC_FAILED;
	work = calljob_arg(job);
	work->root = agent->roots.root;
	memcpy(work->path, path, strlen(path) + 1);
	return calljob_start(job, err);
}

static const struct rpc_method methods[] = {
	{ "GetDiagnosticData", get_diagnostic_data, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_diagnostic = RPC_AREA(methods);
