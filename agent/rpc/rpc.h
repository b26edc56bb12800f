/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of both services, by area: each file in agent/rpc ends with a table of its methods,
 * which table.c lists. The generated service descriptors define which methods exist.
 */
#pragma once

#include "agent/server/call.h"
#include "agent/server/server.h"
#include "lib/error.h"

extern const struct rpc_area rpc_health;
extern const struct rpc_area rpc_guest;
extern const struct rpc_area rpc_sandbox;
extern const struct rpc_area rpc_container;
extern const struct rpc_area rpc_network;
extern const struct rpc_area rpc_files;
extern const struct rpc_area rpc_process;
extern const struct rpc_area rpc_resources;
extern const struct rpc_area rpc_stats;
extern const struct rpc_area rpc_stdio;
extern const struct rpc_area rpc_policy;
extern const struct rpc_area rpc_volumes;
extern const struct rpc_area rpc_metrics;
extern const struct rpc_area rpc_memagent;
extern const struct rpc_area rpc_diagnostic;

#define RPC_METHODS_MAX 64

/* The methods in the order of the service descriptors, for the server. */
struct rpc_table {
	const struct rpc_method *agent[RPC_METHODS_MAX];
	const struct rpc_method *health[RPC_METHODS_MAX];
	struct server_service services[2];
};

/* Fills in the table, which must not be moved afterwards. Returns 0, or -1 and err if a row is in
 * no descriptor or a method has two rows: a bug, which a test finds. */
int rpc_table_init(struct rpc_table *table, struct error *err);

/* Checks a call before its handler runs: the sandbox's state, then the policy. A server_gate_fn. */
int rpc_gate(struct agent *agent, const struct rpc_method *method, const ProtobufCMessage *request,
	     bool *blank, struct error *err);
