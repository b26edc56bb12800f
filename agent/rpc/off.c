/* SPDX-License-Identifier: Apache-2.0 */
/* See off.h. Called by table.c. */
#include "agent/rpc/off.h"

#include <fcntl.h>
#include <string.h>

#include "lib/io.h"
#include "lib/log.h"

#define LIST     "/etc/tatami/test-off"
#define LIST_MAX 4096

static enum rpc_outcome
off_do_nothing(struct call *call, const void *request, void *response, struct error *err)
{
	(void)call;
	(void)request;
	(void)response;
	(void)err;
	return RPC_REPLY;
}

/* The methods of the health service need no policy and are served in every state. */
static const struct rpc_method off_agent = { "off", off_do_nothing, 0 };
static const struct rpc_method off_health = { "off", off_do_nothing, RPC_NO_POLICY };

static void
off_replace(const ProtobufCServiceDescriptor *service, const char *name,
	    const struct rpc_method **methods, const struct rpc_method *off)
{
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(service, name);

	if (!method)
		return;
	methods[method - service->methods] = off;
	log_warn("rpc", "method %s switched off", name);
}

void
off_methods(struct rpc_table *table)
{
	char list[LIST_MAX], *rest = NULL;

	if (read_text_at(AT_FDCWD, LIST, list, sizeof(list)) < 0)
		return;
	for (char *name = strtok_r(list, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		off_replace(table->services[0].descriptor, name, table->agent, &off_agent);
		off_replace(table->services[1].descriptor, name, table->health, &off_health);
	}
}
