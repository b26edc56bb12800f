/* SPDX-License-Identifier: Apache-2.0 */
/* The root object: everything the agent has, wired by agent/agent_main.c. */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "agent/config/config.h"
#include "agent/policy/policy.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "lib/pending.h"

/* Asked once for every call of grpc.AgentService, with its name and unpacked request: 0, or -1 and
 * PERMISSION_DENIED. Must not block. */
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
	struct copies *copies; /* CopyFile */
	struct guest *guest;
	struct memagent *memagent; /* NULL: not asked for */
	struct server *server;
	struct logsink *logsink;
	struct ports *
		ports; /* where hosts connect streams that are passed through; NULL: not configured */
	struct splice_worker *splice_worker;
	struct tracer *tracer;   /* NULL: calls leave no spans */
	struct console *console; /* NULL: none was asked for */
	struct sandbox
		*sandbox;  /* exists from the start; sandbox_is_created(): CreateSandbox came */
	bool is_checked;   /* a host has called Check */
	policy_fn *policy; /* NULL: everything is allowed */
	void *policy_data;
	struct policy policy_rules; /* agent/policy/policy.c */
	int exit_code;              /* of the agent, once the loop has stopped */
	/* A DestroySandbox that is under way. */
	struct {
		struct pending pending;
		struct call *call;
	} destruction;
};
