/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force, which the gate of calls asks (agent/rpc/table.c). See policy.h. */
#include "agent/policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/log_event.h"

#define FILE_MAX (1u << 20)

static const ProtobufCServiceDescriptor *const service = &grpc__agent_service__descriptor;

static bool policy_is_allowed(const struct policy *policy, const ProtobufCMessageDescriptor *type);
static void policy_lock(struct policy *policy);

int
policy_ask(void *data, const char *method, const ProtobufCMessage *request, struct error *err)
{
	const struct policy *policy = data;

	if (policy_is_allowed(policy, request->descriptor))
		return 0;
	if (policy->allow_failing) {
		log_event(
			LOG_LEVEL_WARN, "policy", EVENT_POLICY_OVERRIDDEN, NULL, 0,
			"%s is not allowed by the policy, but passes (AllowRequestsFailingPolicy)",
			method);
		return 0;
	}
	return error_set(err, ERROR_PERMISSION_DENIED, "%s " TEXT_BLOCKED_BY_POLICY,
			 request->descriptor->short_name);
}

static bool
policy_is_allowed(const struct policy *policy, const ProtobufCMessageDescriptor *type)
{
	for (unsigned int i = 0; i < service->n_methods; i++) {
		if (service->methods[i].input == type)
			return policy->allowed[i];
	}
	return false;
}

int
policy_set(struct agent *agent, const char *text, struct error *err)
{
	struct policy policy;
	unsigned int n = 0;

	if (policy_read(text, &policy, err) < 0) {
		if (!agent->policy) {
			policy_lock(&agent->policy_rules);
			agent->policy = policy_ask;
			agent->policy_data = &agent->policy_rules;
			log_event(LOG_LEVEL_ERROR, "policy", EVENT_POLICY_LOCKED, NULL, 0,
				  "all calls but SetPolicy and DestroySandbox are refused: %s",
				  err->msg);
		}
		return -1;
	}
	agent->policy_rules = policy;
	agent->policy = policy_ask;
	agent->policy_data = &agent->policy_rules;
	for (unsigned int i = 0; i < service->n_methods; i++)
		n += policy.allowed[i];
	log_info("policy", "%u of %u calls are allowed%s", n, service->n_methods,
		 policy.allow_failing ? ", the others pass with a warning" : "");
	return 0;
}

/* Allows only the calls that lead out, because a policy was required and none could be enforced. */
static void
policy_lock(struct policy *policy)
{
	*policy = (struct policy){ 0 };
	for (unsigned int i = 0; i < service->n_methods; i++)
		policy->allowed[i] = strcmp(service->methods[i].name, "SetPolicy") == 0 ||
				     strcmp(service->methods[i].name, "DestroySandbox") == 0;
}

int
policy_load(struct agent *agent, const char *file, struct error *err)
{
	const char *name = *file ? file : POLICY_FILE_DEFAULT;
	auto_free char *text = malloc(FILE_MAX + 2);
	ssize_t n;

	if (!text)
		return error_nomem(err, "reading the policy");
	n = read_text_at(AT_FDCWD, name, text, FILE_MAX + 2);
	if (n < 0 && errno == ENOENT && !*file)
		return 0;
	if (n < 0)
		return error_sys(err, "failed to read policy file %s", name);
	if (n >= (ssize_t)FILE_MAX || strlen(text) != (size_t)n)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid policy file %s: over 1 MiB, or contains NUL", name);
	return policy_set(agent, text, err) < 0 ? error_wrap(err, "policy file %s", name) : 0;
}
