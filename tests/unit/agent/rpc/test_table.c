/* SPDX-License-Identifier: Apache-2.0 */
/* The table has a handler for every method of the service descriptors; the gate lets the right
 * calls pass. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static struct rpc_table table;
static struct error err;

Test(rpc_table, every_method_is_handled)
{
	const ProtobufCServiceDescriptor *agent = &grpc__agent_service__descriptor;

	REQUIRE_OK(rpc_table_init(&table, &err), &err);
	for (unsigned int i = 0; i < agent->n_methods; i++) {
		const char *name = agent->methods[i].name;

		REQUIRE(table.agent[i], "%s is not handled", name);
		CHECK_STR(table.agent[i]->name, name);
		CHECK(table.agent[i]->handler);
		CHECK(!(table.agent[i]->flags & RPC_NO_POLICY), "%s", name);
	}
}

Test(rpc_table, health_is_complete)
{
	REQUIRE_OK(rpc_table_init(&table, &err), &err);
	for (unsigned int i = 0; i < grpc__health__descriptor.n_methods; i++) {
		REQUIRE(table.health[i]);
		CHECK(table.health[i]->flags & RPC_NO_POLICY);
		CHECK(!(table.health[i]->flags & RPC_NEEDS_SANDBOX));
	}
}

/* Calls that name a container need a sandbox; hosts make the others before there is one. */
Test(rpc_table, calls_that_need_a_sandbox)
{
	static const char *const without[] = {
		"AddARPNeighbors",  "AddSwap",
		"AddSwapPath",      "CopyFile",
		"CreateSandbox",    "DestroySandbox",
		"GetGuestDetails",  "GetIPTables",
		"GetMetrics",       "GetOOMEvent",
		"GetVolumeStats",   "ListInterfaces",
		"ListRoutes",       "MemAgentCompactSet",
		"MemAgentMemcgSet", "MemHotplugByProbe",
		"OnlineCPUMem",     "RemoveStaleVirtiofsShareMounts",
		"ReseedRandomDev",  "ResizeVolume",
		"SetGuestDateTime", "SetIPTables",
		"SetPolicy",        "UpdateEphemeralMounts",
		"UpdateInterface",  "UpdateRoutes",
	};

	REQUIRE_OK(rpc_table_init(&table, &err), &err);
	for (unsigned int i = 0; i < grpc__agent_service__descriptor.n_methods; i++) {
		bool needs = true;

		if (!table.agent[i])
			continue;
		for (size_t j = 0; j < ARRAY_LEN(without); j++) {
			if (strcmp(without[j], table.agent[i]->name) == 0)
				needs = false;
		}
		CHECK_EQ((table.agent[i]->flags & RPC_NEEDS_SANDBOX) != 0, needs, "%s",
			 table.agent[i]->name);
	}
}

/* ---- the gate ---- */

struct asked {
	int n;
	const char *method;
	const ProtobufCMessage *request;
	bool is_denied;
};

static int
policy(void *data, const char *method, const ProtobufCMessage *request, struct error *e)
{
	struct asked *asked = data;

	asked->n++;
	asked->method = method;
	asked->request = request;
	if (!asked->is_denied)
		return 0;
	return error_set(e, ERROR_PERMISSION_DENIED, "%s is blocked by policy", method);
}

Test(rpc_gate, policy)
{
	static const struct {
		unsigned int flags;
		bool is_denied, has_policy;
		int asked, result;
		bool is_blank;
	} rows[] = {
		{ 0, false, false, 0, 0, false },
		{ 0, false, true, 1, 0, false },
		{ 0, true, true, 1, -1, false },
		{ RPC_NO_POLICY, true, true, 0, 0, false },
		{ RPC_BLANK_IF_DENIED, true, true, 1, 0, true },
		{ RPC_BLANK_IF_DENIED, false, true, 1, 0, false },
		{ RPC_NEEDS_SANDBOX, false, true, 0, -1, false },
		{ RPC_NEEDS_SANDBOX | RPC_BLANK_IF_DENIED, true, true, 0, -1, false },
	};
	ProtobufCMessage request = { 0 };
	const struct sandbox_parts parts = { 0 };
	struct sandbox *sandbox = sandbox_new(&parts, &err);

	REQUIRE(sandbox, "%s", err.msg);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct asked asked = { .is_denied = rows[i].is_denied };
		struct agent agent = {
			.sandbox = sandbox,
			.policy = rows[i].has_policy ? policy : NULL,
			.policy_data = &asked,
		};
		const struct rpc_method method = { "ReadStdout", NULL, rows[i].flags };
		struct error e = ERROR_INIT;
		bool is_blank = false;

		CHECK_EQ(rpc_gate(&agent, &method, &request, &is_blank, &e), rows[i].result,
			 "row %zu", i);
		CHECK_EQ(asked.n, rows[i].asked, "row %zu: asked %d times", i, asked.n);
		CHECK_EQ(is_blank, rows[i].is_blank, "row %zu", i);
		if (asked.n)
			CHECK(asked.request == &request && asked.method == method.name);
		if (rows[i].result < 0)
			CHECK_EQ(e.code,
				 asked.n ? ERROR_PERMISSION_DENIED : ERROR_FAILED_PRECONDITION);
	}
	sandbox_free(sandbox);
}
