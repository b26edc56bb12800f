/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateContainer, PauseContainer, ResumeContainer and GetOOMEvent. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/oom.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/call.h"

static int fill_event(struct call *call, Grpc__OOMEvent *reply, const char *id, struct error *err);
static void oom_happened(struct oom_waiter *w, const char *id, const struct error *err);

static enum rpc_outcome
update_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__UpdateContainerRequest *req = request;
	struct sandbox *s = call_agent(call)->sandbox;
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	if (!req->resources)
		return sandbox_container(s, req->container_id, CONTAINER_CALL_UPDATE, err)
			       ? RPC_REPLY
			       : RPC_FAILED;
	outcome = sandbox_update_container(s, req->container_id, req->resources, operation_done,
					   call, &p, err);
	return operation_outcome(call, outcome, p);
}

static enum rpc_outcome
pause_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__PauseContainerRequest *req = request;
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	outcome = sandbox_pause_container(call_agent(call)->sandbox, req->container_id,
					  operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

static enum rpc_outcome
resume_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__ResumeContainerRequest *req = request;
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	outcome = sandbox_resume_container(call_agent(call)->sandbox, req->container_id,
					   operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

/* A parked GetOOMEvent call. Lives in the call's arena. */
struct oom_call {
	/* Must be first. */
	struct oom_waiter waiter;
	struct call *call;
};

static enum rpc_outcome
get_oom_event(struct call *call, const void *request, void *response, struct error *err)
{
	struct oom_call *oom = arena_zalloc(call_arena(call), 1, sizeof(*oom));
	char id[256];

	(void)request;
	if (!oom)
		return error_nomem(err, "waiting for an OOM kill");
	oom->waiter.done = oom_happened;
	oom->call = call;
	switch (oom_take(sandbox_oom(call_agent(call)->sandbox), &oom->waiter, id, sizeof(id),
			 err)) {
	case 0:
		return fill_event(call, response, id, err) == 0 ? RPC_REPLY : RPC_FAILED;
	case 1:
		return call_park(call, &oom->waiter.pending);
	default:
		return RPC_FAILED;
	}
}

static int
fill_event(struct call *call, Grpc__OOMEvent *reply, const char *id, struct error *err)
{
	reply->container_id = arena_strdup(call_arena(call), id);
	return reply->container_id ? 0 : error_nomem(err, "reporting an OOM kill");
}

static void
oom_happened(struct oom_waiter *w, const char *id, const struct error *err)
{
	struct call *call = ((struct oom_call *)w)->call;
	struct error why = *err;

	if (why.code == ERROR_OK && fill_event(call, call_response(call), id, &why) == 0)
		call_reply(call);
	else
		call_fail(call, &why);
}

static const struct rpc_method methods[] = {
	{ "UpdateContainer", update_container, RPC_NEEDS_SANDBOX },
	{ "PauseContainer", pause_container, RPC_NEEDS_SANDBOX },
	{ "ResumeContainer", resume_container, RPC_NEEDS_SANDBOX },
	/* Hosts call this before CreateSandbox. A refusal would make them repeat the call
	 * immediately. */
	{ "GetOOMEvent", get_oom_event, 0 },
};
const struct rpc_area rpc_resources = RPC_AREA(methods);
