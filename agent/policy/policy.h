/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which calls are allowed, by the name of their message. Of the policy language only this much is understood:
 *
 *	package agent_policy
 *	default ExecProcessRequest := false		# true or false, one line for each message
 *
 * comments, empty lines, and imports of `future.keywords` and `rego.v1`, which change nothing of this. A message without a
 * line is refused. `default AllowRequestsFailingPolicy := true` lets refused calls pass with a warning. Everything else is
 * an error: a rule that is not understood is never taken for one that is not there. Never blocks.
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
	bool allowed
		[POLICY_METHODS_MAX]; /* by the methods' order in the descriptor of grpc.AgentService */
};

struct agent;

/* Reads a policy's text. 0, or -1 and INVALID_ARGUMENT, which names the line; *out is untouched then. */
int policy_read(const char *text, struct policy *out, struct error *err);

/* policy_fn of agent/agent.h; data is a struct policy. Looks at nothing but the type of the request that the handler will
 * get: the very same object. */
int policy_ask(void *data, const char *method, const ProtobufCMessage *request, struct error *err);

/* Puts a policy in force, in the place of the former. A text that is not understood changes nothing if there is a policy;
 * if there is none, every call but SetPolicy and DestroySandbox is refused from then on. 0, or -1 and err. */
int policy_set(struct agent *agent, const char *text, struct error *err);

/* The policy of the guest's image: `file`, or if that is "" the default place, if it is there. 0, or -1 and err: then the
 * agent must not serve. At start only: may block on the file. */
int policy_load(struct agent *agent, const char *file, struct error *err);
