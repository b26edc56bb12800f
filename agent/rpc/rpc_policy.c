/* SPDX-License-Identifier: Apache-2.0 */
/* SetPolicy. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/policy/policy.h"
#include "agent/rpc/rpc.h"

_Static_assert(POLICY_METHODS_MAX >= RPC_METHODS_MAX, "every method has an entry");

static enum rpc_outcome
set_policy(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__SetPolicyRequest *req = request;

	(void)response;
	return policy_set(call_agent(call), req->policy, err) < 0 ? RPC_FAILED : RPC_REPLY;
}

static const struct rpc_method methods[] = {
	{ "SetPolicy", set_policy, 0 },
};
const struct rpc_area rpc_policy = RPC_AREA(methods);
