/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: which calls each of the documented ones allows, which texts are refused, and which
 * policy is in force afterwards. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/policy/policy.h"
#include "agent/rpc/rpc.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "tests/support/check.h"

#define HEAD "package agent_policy\n"

static const ProtobufCServiceDescriptor *const service = &grpc__agent_service__descriptor;
static struct error err;
static char logged[8192];

static bool
collect(const char *line, size_t len, void *data)
{
	(void)data;
	strncat(logged, line, len < sizeof(logged) - strlen(logged) - 1 ? len : 0);
	return true;
}

static void
quiet(void)
{
	log_set_sink(collect, NULL);
}

TestSuite(policy, .init = quiet);

static char *
document(const char *name)
{
	static char text[65536];
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", POLICIES, name);
	f = fopen(path, "re");
	REQUIRE(f, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

/* Asks the policy as the gate does, with a message of the method's type. */
static bool
is_allowed(struct agent *agent, unsigned int method)
{
	ProtobufCMessage *request = calloc(1, service->methods[method].input->sizeof_message);
	struct error why = ERROR_INIT;
	int result;

	REQUIRE(request);
	protobuf_c_message_init(service->methods[method].input, request);
	result = agent->policy(agent->policy_data, service->methods[method].name, request, &why);
	free(request);
	if (result < 0) {
		CHECK_EQ(why.code, ERROR_PERMISSION_DENIED);
		CHECK_HAS(why.msg, TEXT_BLOCKED_BY_POLICY);
	}
	return result == 0;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

Test(policy, documents_call_by_call)
{
	/* No document has a line for these, so all refuse them. */
	static const char *const nowhere[] = { "AddSwapPath",  "GetIPTables",    "SetIPTables",
					       "ResizeVolume", "GetVolumeStats", NULL };
	static const char *const exec[] = { "ExecProcess", "CopyFile", NULL };
	static const char *const set[] = { "SetPolicy", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		const char *name;
		/* Calls that this document treats unlike the rest. */
		const char *const *others;
		bool rest;
	} rows[] = {
		{ "allow-all.rego", none, true },
		{ "no-exec.rego", exec, true },
		{ "set-policy-only.rego", set, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct agent agent = { .policy = NULL };

		REQUIRE_OK(policy_set(&agent, document(rows[i].name), &err), &err);
		for (unsigned int m = 0; m < service->n_methods; m++) {
			const char *name = service->methods[m].name;
			bool want = is_one_of(name, rows[i].others) ? !rows[i].rest : rows[i].rest;

			if (is_one_of(name, nowhere))
				want = false;
			CHECK_EQ(is_allowed(&agent, m), want, "%s: %s", rows[i].name, name);
		}
	}
}

Test(policy, accepted_forms)
{
	static const char *const texts[] = {
		HEAD "default ExecProcessRequest := true",
		HEAD "default ExecProcessRequest = true\n",
		HEAD "default ExecProcessRequest:=true # why\r\n",
		"# comment\n\n \tpackage agent_policy # x\nimport future.keywords.in\n"
		"import rego.v1\n"
		"\tdefault\tExecProcessRequest  :=  true\n",
		HEAD "default SomethingElseRequest := false\ndefault ExecProcessRequest := true\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct policy policy;
		unsigned int n = 0;

		REQUIRE_EQ(policy_read(texts[i], &policy, &err), 0, "%s: %s", texts[i], err.msg);
		for (unsigned int m = 0; m < service->n_methods; m++) {
			n += policy.allowed[m];
			CHECK_EQ(policy.allowed[m],
				 strcmp(service->methods[m].name, "ExecProcess") == 0);
		}
		CHECK_EQ(n, 1, "%s", texts[i]);
	}
}

Test(policy, unsupported_rules_are_refused)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "missing `package agent_policy`" },
		{ "\n\n", "missing `package agent_policy`" },
		{ "default ExecProcessRequest := true\n",
		  "line 1: expected `package agent_policy`" },
		{ "package other\n", "line 1: expected `package agent_policy`" },
		{ "package agent_policy.x\n", "line 1: expected" },
		{ "package agent_policy x\n", "line 1: expected" },
		{ "package agent_policy :x\n", "line 1: expected" },
		{ HEAD "import rego.v1 :x\n", "line 2: unsupported import" },
		{ HEAD "default ExecProcessRequest := true :x\n", "line 2: expected" },
		{ HEAD "package agent_policy\n", "line 2: rules" },
		{ HEAD "import input\n", "line 2: unsupported import" },
		{ HEAD "import data.x as y\n", "line 2: unsupported import" },
		{ HEAD "default ExecProcessRequest := True\n", "line 2: expected `default" },
		{ HEAD "default ExecProcessRequest := true false\n", "line 2: expected `default" },
		{ HEAD "default ExecProcessRequest := {\"allowed\": true}\n",
		  "line 2: expected `default" },
		{ HEAD "default ExecProcessRequest true\n", "line 2: expected `default" },
		{ HEAD "default ExecProcessRequest :=\n", "line 2: expected `default" },
		{ HEAD "default := true\n", "line 2: expected `default" },
		{ HEAD "default data.x := true\n", "line 2: expected `default" },
		{ HEAD "default f(x) := true\n", "line 2: expected `default" },
		{ HEAD "defaultExecProcessRequest := true\n", "line 2: rules" },
		{ HEAD "ExecProcessRequest := true\n", "line 2: rules" },
		{ HEAD "default ExecProcessRequest := false\n\nExecProcessRequest if { true }\n",
		  "line 4: rules" },
		{ HEAD "default ExecProcessRequest := true\ndefault ExecProcessRequest := false\n",
		  "line 3: duplicate default" },
		{ HEAD "default AllowRequestsFailingPolicy := true\ndefault "
		       "AllowRequestsFailingPolicy := true\n",
		  "line 3: duplicate default" },
		{ HEAD "policy_data := {\n", "line 2: rules" },
		{ HEAD "\x0c\n", "line 2: rules" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy policy;

		err = ERROR_INIT;
		CHECK_EQ(policy_read(rows[i].text, &policy, &err), -1, "%s", rows[i].text);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, rows[i].says, "%s: says %s", rows[i].text, err.msg);
	}
}

Test(policy, locked_by_an_invalid_policy)
{
	struct agent agent = { .policy = NULL };

	/* No policy is in force yet: from now on everything but the way out is refused. */
	REQUIRE_EQ(policy_set(&agent, HEAD "ExecProcessRequest if { true }", &err), -1);
	REQUIRE(agent.policy);
	for (unsigned int m = 0; m < service->n_methods; m++) {
		const char *name = service->methods[m].name;

		CHECK_EQ(is_allowed(&agent, m),
			 strcmp(name, "SetPolicy") == 0 || strcmp(name, "DestroySandbox") == 0,
			 "%s", name);
	}
	CHECK_HAS(logged, "\"event\":\"" EVENT_POLICY_LOCKED "\"");
	/* A valid policy allows calls again; a later invalid one changes nothing. */
	REQUIRE_OK(policy_set(&agent, HEAD "default ExecProcessRequest := true", &err), &err);
	REQUIRE_EQ(policy_set(&agent, "?", &err), -1);
	for (unsigned int m = 0; m < service->n_methods; m++)
		CHECK_EQ(is_allowed(&agent, m),
			 strcmp(service->methods[m].name, "ExecProcess") == 0);
}

Test(policy, refused_calls_may_pass)
{
	struct agent agent = { .policy = NULL };

	REQUIRE_OK(policy_set(&agent, HEAD "default AllowRequestsFailingPolicy := true", &err),
		   &err);
	for (unsigned int m = 0; m < service->n_methods; m++)
		CHECK(is_allowed(&agent, m), "%s", service->methods[m].name);
	CHECK_HAS(logged, "\"event\":\"" EVENT_POLICY_OVERRIDDEN "\"");
}

/* The policy of the image: a missing file means no policy, an invalid one is an error. */
Test(policy, file)
{
	struct agent agent = { .policy = NULL };
	char path[512];

	CHECK_EQ(policy_load(&agent, "/nonexistent/policy.rego", &err), -1);
	CHECK_HAS(err.msg, "/nonexistent/policy.rego");
	CHECK_EQ(agent.policy, NULL);
	(void)snprintf(path, sizeof(path), "%s/no-exec.rego", POLICIES);
	CHECK_OK(policy_load(&agent, path, &err), &err);
	CHECK(agent.policy);
	CHECK_EQ(policy_load(&agent, "/dev/zero", &err), -1, "too large");
	CHECK_EQ(policy_load(&agent, "/", &err), -1);
}
