/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.Health: the calls that hosts poll. They depend on nothing else in the agent, so they are
 * answered even when everything else hangs. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/rpc/rpc.h"
#include "health.pb-c.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/version.h"

/* Logs the end of the boot as seen by a host, once. */
static void
health_log_first_check(struct agent *agent)
{
	char text[24];
	const struct log_field field = { "first-check-us", text };

	if (agent->is_checked)
		return;
	agent->is_checked = true;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)monotonic_ns() / 1000);
	log_event(LOG_LEVEL_INFO, "agent", EVENT_FIRST_CHECK, &field, 1, "first Check answered");
}

static enum rpc_outcome
health_check(struct call *call, const void *request, void *response, struct error *err)
{
	Grpc__HealthCheckResponse *reply = response;

	(void)request;
	(void)err;
	health_log_first_check(call_agent(call));
	reply->status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	return RPC_REPLY;
}

static enum rpc_outcome
health_version(struct call *call, const void *request, void *response, struct error *err)
{
	Grpc__VersionCheckResponse *reply = response;

	(void)request;
	reply->grpc_version = arena_strdup(call_arena(call), TATAMI_API_VERSION);
	reply->agent_version = arena_strdup(call_arena(call), tatami_version);
	if (!reply->grpc_version || !reply->agent_version) {
		error_nomem(err, "reporting the version");
		return RPC_FAILED;
	}
	return RPC_REPLY;
}

static const struct rpc_method methods[] = {
	{ "Check", health_check, RPC_NO_POLICY },
	{ "Version", health_version, RPC_NO_POLICY },
};
const struct rpc_area rpc_health = RPC_AREA(methods);
