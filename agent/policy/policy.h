/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that are allowed, by the names of their messages. Only this much of the policy language
 * is supported:
 *
 *	package agent_policy
 *	default ExecProcessRequest := false		# true or false, one line for each message
 *
 * plus comments, empty lines, and imports of `future.keywords` and `rego.v1`, which have no effect.
 * A message without a line is refused. `default AllowRequestsFailingPolicy := true` lets refused
 * calls pass with a warning. Anything else is an error: an unsupported rule is never ignored. Never
 * blocks, except policy_load().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/error.h"

#define POLICY_FILE_DEFAULT "/etc/kata-opa/default-policy.rego"
#define POLICY_METHODS_MAX  64

struct policy {
	bool allow_failing;
	/* In the order of the methods in the descriptor of grpc.AgentService. */
	bool allowed[POLICY_METHODS_MAX];
};

struct agent;

/* Parses a policy's text. Returns 0; or -1 and INVALID_ARGUMENT, which names the line, and leaves
 * *out untouched. */
int policy_read(const char *text, struct policy *out, struct error *err);

/* Decides on a call: a policy_fn (agent/agent.h); `data` is a struct policy. Looks only at the type
 * of the request, which is the object that the handler will get. Returns 0, or -1 and err. */
int policy_ask(void *data, const char *method, const ProtobufCMessage *request, struct error *err);

/* Puts a policy in force instead of the former one. An invalid text changes nothing if a policy is
 * in force; otherwise every call but SetPolicy and DestroySandbox is refused from then on. Returns
 * 0, or -1 and err. */
int policy_set(struct agent *agent, const char *text, struct error *err);

/* Loads the policy of the guest's image: `file`, or, if that is "", the default file if it exists.
 * Returns 0; or -1 and err, and the agent must not serve. Called at start only: may block on the
 * file. */
int policy_load(struct agent *agent, const char *file, struct error *err);
