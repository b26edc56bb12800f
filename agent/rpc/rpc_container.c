/* SPDX-License-Identifier: Apache-2.0 */
/* CreateContainer, StartContainer, RemoveContainer and ExecProcess. */
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/ports.h"
#include "lib/cleanup.h"

/* Starts the operation of a call; sets the sockets in `pass` (NULL: none) that it takes over
 * to -1. */
typedef enum rpc_outcome submit_fn(struct call *call, int *pass, struct error *err);

/* A call that waits for the connections of its passed-through streams. Lives in the call's
 * arena. */
struct streams {
	/* Must be first. */
	struct ports_request request;
	struct call *call;
	submit_fn *submit;
};

static enum rpc_outcome container_submit(struct streams *s, struct error *err);
static enum rpc_outcome with_streams(struct call *call, const uint32_t port[PORTS_STREAMS],
				     submit_fn *fn, struct error *err);
static void on_streams(struct ports_request *r, const struct error *err);
static enum rpc_outcome submit_create(struct call *call, int *pass, struct error *err);
static int read_devices_and_mounts(struct call *call, const Grpc__CreateContainerRequest *req,
				   struct sandbox_container_request *out, struct error *err);
static enum rpc_outcome submit_exec(struct call *call, int *pass, struct error *err);

static enum rpc_outcome
create_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__CreateContainerRequest *req = request;
	const uint32_t port[] = { req->stdin_port, req->stdout_port, req->stderr_port };

	(void)response;
	return with_streams(call, port, submit_create, err);
}

static enum rpc_outcome
container_submit(struct streams *s, struct error *err)
{
	enum rpc_outcome outcome = s->submit(s->call, s->request.fd, err);

	for (size_t i = 0; i < PORTS_STREAMS; i++)
		close_fd(&s->request.fd[i]);
	return outcome;
}

/* Submits an operation when the connections of its ports have arrived; immediately if it names
 * none. */
static enum rpc_outcome
with_streams(struct call *call, const uint32_t port[PORTS_STREAMS], submit_fn *fn,
	     struct error *err)
{
	struct ports *ports = call_agent(call)->ports;
	struct streams *s;

	if (!port[0] && !port[1] && !port[2])
		return fn(call, NULL, err);
	if (!ports)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "failed to pass streams through to ports %u, %u and %u: "
				 "agent.passfd_listener_port is not set",
				 port[0], port[1], port[2]);
	s = arena_zalloc(call_arena(call), 1, sizeof(*s));
	if (!s)
		return error_nomem(err, "waiting for the streams' connections");
	memcpy(s->request.port, port, sizeof(s->request.port));
	s->request.done = on_streams;
	s->call = call;
	s->submit = fn;
	switch (ports_take(ports, &s->request, err)) {
	case 0:
		return container_submit(s, err);
	case 1:
		return call_park(call, &s->request.pending);
	default:
		return RPC_FAILED;
	}
}

static void
on_streams(struct ports_request *r, const struct error *err)
{
	struct streams *s = (struct streams *)r;
	struct error why = *err;
	enum rpc_outcome outcome = why.code == ERROR_OK ? container_submit(s, &why) : RPC_FAILED;

	if (outcome == RPC_REPLY)
		call_reply(s->call);
	else if (outcome == RPC_FAILED)
		call_fail(s->call, &why);
}

static enum rpc_outcome
submit_create(struct call *call, int *pass, struct error *err)
{
	const Grpc__CreateContainerRequest *req = call_request(call);
	struct sandbox_container_request container = {
		.id = req->container_id,
		.spec = req->oci,
		.sandbox_pidns = req->sandbox_pidns,
		.n_storages = req->n_storages,
		.pass = pass,
	};
	struct pending *p = NULL;
	enum op_outcome outcome;

	container.storages = operation_storages(call, req->storages, req->n_storages, err);
	if (!container.storages || read_devices_and_mounts(call, req, &container, err) < 0)
		return RPC_FAILED;
	outcome = sandbox_create_container(call_agent(call)->sandbox, &container, operation_done,
					   call, &p, err);
	return operation_outcome(call, outcome, p);
}

/* Converts the devices and the shared mounts of a request. */
static int
read_devices_and_mounts(struct call *call, const Grpc__CreateContainerRequest *req,
			struct sandbox_container_request *out, struct error *err)
{
	struct device_request *devices =
		arena_zalloc(call_arena(call), req->n_devices + 1, sizeof(*devices));
	struct sandbox_shared_mount *shared =
		arena_zalloc(call_arena(call), req->n_shared_mounts + 1, sizeof(*shared));

	if (!devices || !shared)
		return error_nomem(err, "reading the devices");
	for (size_t i = 0; i < req->n_devices; i++) {
		const Grpc__Device *from = req->devices[i];

		devices[i] = (struct device_request){
			.id = from->id,
			.type = from->type,
			.vm_path = from->vm_path,
			.container_path = from->container_path,
			.options = (const char *const *)from->options,
			.n_options = from->n_options,
		};
	}
	for (size_t i = 0; i < req->n_shared_mounts; i++) {
		const Grpc__SharedMount *from = req->shared_mounts[i];

		shared[i] = (struct sandbox_shared_mount){ from->src_ctr, from->src_path,
							   from->dst_path };
	}
	out->devices = devices;
	out->n_devices = req->n_devices;
	out->shared = shared;
	out->n_shared = req->n_shared_mounts;
	return 0;
}

static enum rpc_outcome
start_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__StartContainerRequest *req = request;
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	outcome = sandbox_start_container(call_agent(call)->sandbox, req->container_id,
					  operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

static enum rpc_outcome
remove_container(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__RemoveContainerRequest *req = request;
	struct pending *p = NULL;
	enum op_outcome outcome;

	(void)response;
	outcome = sandbox_remove_container(call_agent(call)->sandbox, req->container_id,
					   req->timeout, operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

static enum rpc_outcome
exec_process(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__ExecProcessRequest *req = request;
	const uint32_t port[] = { req->stdin_port, req->stdout_port, req->stderr_port };

	(void)response;
	return with_streams(call, port, submit_exec, err);
}

static enum rpc_outcome
submit_exec(struct call *call, int *pass, struct error *err)
{
	const Grpc__ExecProcessRequest *req = call_request(call);
	const struct sandbox_exec_request exec = {
		.id = req->container_id,
		.exec_id = req->exec_id,
		.process = req->process,
		.pass = pass,
	};
	struct pending *p = NULL;
	enum op_outcome outcome;

	outcome = sandbox_exec(call_agent(call)->sandbox, &exec, operation_done, call, &p, err);
	return operation_outcome(call, outcome, p);
}

static const struct rpc_method methods[] = {
	{ "CreateContainer", create_container, RPC_NEEDS_SANDBOX },
	{ "StartContainer", start_container, RPC_NEEDS_SANDBOX },
	{ "RemoveContainer", remove_container, RPC_NEEDS_SANDBOX },
	{ "ExecProcess", exec_process, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_container = RPC_AREA(methods);
