/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods from all areas. Built once at start, then constant. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#ifdef TATAMI_IGNORE_FIELDS
#include "agent/rpc/ignore.h"
#include "agent/rpc/off.h"
#endif
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"

static const struct rpc_area *const agent_areas[] = {
	&rpc_guest,   &rpc_sandbox, &rpc_container, &rpc_process,    &rpc_resources,
	&rpc_stats,   &rpc_stdio,   &rpc_network,   &rpc_policy,     &rpc_files,
	&rpc_volumes, &rpc_metrics, &rpc_memagent,  &rpc_diagnostic,
};

static const struct rpc_area *const health_areas[] = { &rpc_health };

/* Places the methods of all areas in the descriptor's order. */
static int
table_place(const ProtobufCServiceDescriptor *descriptor, const struct rpc_area *const *areas,
	    size_t n_areas, const struct rpc_method **methods, struct error *err)
{
	if (descriptor->n_methods > RPC_METHODS_MAX)
		return error_set(err, ERROR_INTERNAL, "%s has %u methods", descriptor->name,
				 descriptor->n_methods);
	for (size_t a = 0; a < n_areas; a++) {
		for (size_t i = 0; i < areas[a]->count; i++) {
			const struct rpc_method *row = &areas[a]->methods[i];
			const ProtobufCMethodDescriptor *method =
				protobuf_c_service_descriptor_get_method_by_name(descriptor,
										 row->name);

			if (!method)
				return error_set(err, ERROR_INTERNAL, "%s has no method %s",
						 descriptor->name, row->name);
			if (methods[method - descriptor->methods])
				return error_set(err, ERROR_INTERNAL, "%s is handled twice",
						 row->name);
			methods[method - descriptor->methods] = row;
		}
	}
	return 0;
}

int
rpc_table_init(struct rpc_table *table, struct error *err)
{
	*table = (struct rpc_table){
		.services = {
			{ &grpc__agent_service__descriptor, table->agent },
			{ &grpc__health__descriptor, table->health },
		},
	};
	if (table_place(&grpc__agent_service__descriptor, agent_areas, ARRAY_LEN(agent_areas),
			table->agent, err) < 0)
		return -1;
	if (table_place(&grpc__health__descriptor, health_areas, ARRAY_LEN(health_areas),
			table->health, err) < 0)
		return -1;
#ifdef TATAMI_IGNORE_FIELDS
	off_methods(table);
#endif
	return 0;
}

int
rpc_gate(struct agent *agent, const struct rpc_method *method, const ProtobufCMessage *request,
	 bool *blank, struct error *err)
{
#ifdef TATAMI_IGNORE_FIELDS
	ignore_field(request);
#endif
	if (method->flags & RPC_NEEDS_SANDBOX && !sandbox_is_created(agent->sandbox))
		return error_set(err, ERROR_FAILED_PRECONDITION, "%s before CreateSandbox",
				 method->name);
	if (method->flags & RPC_NO_POLICY || !agent->policy)
		return 0;
	if (agent->policy(agent->policy_data, method->name, request, err) == 0)
		return 0;
	if (!(method->flags & RPC_BLANK_IF_DENIED))
		return -1;
	*blank = true;
	*err = ERROR_INIT;
	return 0;
}
