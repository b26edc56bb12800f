/* SPDX-License-Identifier: Apache-2.0 */
/* CreateSandbox and DestroySandbox. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/job/initlink.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/server.h"
#include "lib/log.h"

static struct sandbox_module *modules_of(struct call *call, const Grpc__CreateSandboxRequest *req,
					 struct error *err);
static void power_off(void *data);
static void sandbox_destroyed(const struct error *err, void *data);

static enum rpc_outcome
create_sandbox(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__CreateSandboxRequest *req = request;
	struct sandbox_request sandbox = {
		.id = req->sandbox_id,
		.hostname = req->hostname,
		.guest_hook_path = req->guest_hook_path,
		.dns = req->dns,
		.n_dns = req->n_dns,
		.n_modules = req->n_kernel_modules,
		.n_storages = req->n_storages,
	};
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	sandbox.modules = modules_of(call, req, err);
	sandbox.storages = operation_storages(call, req->storages, req->n_storages, err);
	if (!sandbox.modules || !sandbox.storages)
		return RPC_FAILED;
	outcome =
		sandbox_create(call_agent(call)->sandbox, &sandbox, operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

static struct sandbox_module *
modules_of(struct call *call, const Grpc__CreateSandboxRequest *req, struct error *err)
{
	size_t n = req->n_kernel_modules;
	struct sandbox_module *modules =
		arena_zalloc(call_arena(call), n > 0 ? n : 1, sizeof(*modules));

	if (!modules) {
		error_nomem(err, "reading the kernel modules");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		modules[i].name = req->kernel_modules[i]->name;
		modules[i].parameters = req->kernel_modules[i]->parameters;
		modules[i].n_parameters = req->kernel_modules[i]->n_parameters;
	}
	return modules;
}

static enum rpc_outcome
destroy_sandbox(struct call *call, const void *request, void *response, struct error *err)
{
	struct agent *agent = call_agent(call);
	struct pending *p = NULL;

	(void)request;
	(void)response;
	switch (sandbox_destroy(agent->sandbox, sandbox_destroyed, agent, &p, err)) {
	case OP_PENDING:
		/* Not parked on p: if the host disconnects, the guest is still to be powered
		 * off. */
		agent->destruction.pending.cancel = pending_go_on;
		agent->destruction.call = call;
		return call_park(call, &agent->destruction.pending);
	case OP_DONE:
		server_drain(agent->server, power_off, agent);
		return RPC_REPLY;
	case OP_FAILED:
		break;
	}
	return RPC_FAILED;
}

/* Powers the guest off, after the reply has been sent or could not be delivered. */
static void
power_off(void *data)
{
	struct agent *agent = data;
	struct error err = ERROR_INIT;

	if (initlink_poweroff(agent->init, 0, &err) < 0)
		log_error("sandbox", "failed to power off: %s", err.msg);
	loop_stop(agent->loop);
}

/* Sends the reply, if the host is still connected, and powers the guest off in any case. */
static void
sandbox_destroyed(const struct error *err, void *data)
{
	struct agent *agent = data;

	if (pending_end(&agent->destruction.pending))
		operation_done(err, agent->destruction.call);
	server_drain(agent->server, power_off, agent);
}

static const struct rpc_method methods[] = {
	{ "CreateSandbox", create_sandbox, RPC_OF_RUNTIME },
	{ "DestroySandbox", destroy_sandbox, 0 },
};
const struct rpc_area rpc_sandbox = RPC_AREA(methods);
