/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of both services, by area: each file in agent/rpc ends in one table of its methods, and is named in
 * table.c. The generated service descriptors say which methods there are.
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

/* Handlers by index of the descriptors, for the server. */
struct rpc_table {
	const struct rpc_method *agent[RPC_METHODS_MAX];
	const struct rpc_method *health[RPC_METHODS_MAX];
	struct server_service services[2];
};

/* Fills the table in; it must not move afterwards. -1 and err for a row that no descriptor knows, or a second
 * row for one method: a bug, which a test finds. */
int rpc_table_init(struct rpc_table *table, struct error *err);

/* server_gate_fn: what must hold before a handler runs, and the policy's word. */
int rpc_gate(struct agent *agent, const struct rpc_method *method, const ProtobufCMessage *request,
	     bool *blank, struct error *err);
