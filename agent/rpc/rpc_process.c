/* SPDX-License-Identifier: Apache-2.0 */
/* SignalProcess and WaitProcess. */
#include <signal.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/call.h"

static void process_ended(struct process_waiter *w, int status, const struct error *err);

static enum rpc_outcome
signal_process(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__SignalProcessRequest *req = request;
	struct sandbox *s = call_agent(call)->sandbox;
	struct container *c;
	struct process *p;

	(void)response;
	if (req->exec_id[0] == '\0' && req->signal == SIGKILL) {
		c = sandbox_container(s, req->container_id, CONTAINER_CALL_SIGNAL, err);
		return c && sandbox_kill_all(s, c, err) == 0 ? RPC_REPLY : RPC_FAILED;
	}
	p = sandbox_process(s, req->container_id, req->exec_id, CONTAINER_CALL_SIGNAL, err);
	return p && sandbox_signal(s, p, req->signal, err) == 0 ? RPC_REPLY : RPC_FAILED;
}

/* A parked WaitProcess call. Lives in the call's arena. */
struct wait_call {
	/* Must be first. */
	struct process_waiter waiter;
	struct call *call;
};

static enum rpc_outcome
wait_process(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__WaitProcessRequest *req = request;
	Grpc__WaitProcessResponse *reply = response;
	struct wait_call *wait;
	struct process *p;
	int status = 0;

	p = sandbox_process(call_agent(call)->sandbox, req->container_id, req->exec_id,
			    CONTAINER_CALL_WAIT, err);
	if (!p)
		return RPC_FAILED;
	wait = arena_zalloc(call_arena(call), 1, sizeof(*wait));
	if (!wait)
		return error_nomem(err, "waiting for a process");
	*wait = (struct wait_call){ .waiter = { .done = process_ended }, .call = call };
	if (process_wait(p, &wait->waiter, &status) != 0)
		return call_park(call, &wait->waiter.pending);
	reply->status = status;
	return RPC_REPLY;
}

static void
process_ended(struct process_waiter *w, int status, const struct error *err)
{
	struct call *call = ((struct wait_call *)w)->call;
	Grpc__WaitProcessResponse *response = call_response(call);

	response->status = status;
	if (err->code == ERROR_OK)
		call_reply(call);
	else
		call_fail(call, err);
}

static const struct rpc_method methods[] = {
	{ "SignalProcess", signal_process, RPC_NEEDS_SANDBOX },
	{ "WaitProcess", wait_process, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_process = RPC_AREA(methods);
