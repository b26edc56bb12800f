/* SPDX-License-Identifier: Apache-2.0 */
/* The root object: all parts of the agent, which agent/agent_main.c makes and connects. */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "agent/config/config.h"
#include "agent/policy/policy.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "lib/pending.h"

/* Decides about a call of grpc.AgentService from its name and unpacked request; called once per
 * call. Returns 0, or -1 and PERMISSION_DENIED. Must not block. */
typedef int policy_fn(void *data, const char *method, const ProtobufCMessage *request,
		      struct error *err);

struct call;

struct agent {
	struct config config;
	struct roots roots;
	struct loop *loop;
	struct initlink *init;
	struct jobs *jobs;
	struct device_watch *devices;
	struct storages *storages;
	struct network *network;
	/* CopyFile */
	struct copies *copies;
	struct guest *guest;
	/* NULL if it is not configured */
	struct memagent *memagent;
	struct server *server;
	struct logsink *logsink;
	/* the port for pass-through streams, NULL if it is not configured */
	struct ports *ports;
	struct splice_worker *splice_worker;
	/* NULL if calls are not traced */
	struct tracer *tracer;
	/* NULL if it is not configured */
	struct console *console;
	/* exists from the start; sandbox_is_created() tells whether CreateSandbox was called */
	struct sandbox *sandbox;
	/* the host has called Check */
	bool is_checked;
	/* NULL: all calls are allowed */
	policy_fn *policy;
	void *policy_data;
	struct policy policy_rules;
	/* exit code of the process after the loop has stopped */
	int exit_code;
	/* The DestroySandbox call in progress. */
	struct {
		struct pending pending;
		struct call *call;
	} destruction;
};
