/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on the guest as a whole: GetGuestDetails, OnlineCPUMem, MemHotplugByProbe,
 * SetGuestDateTime, ReseedRandomDev. None of them needs a sandbox.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/device/handlers.h"
#include "agent/guest/clock.h"
#include "agent/guest/entropy.h"
#include "agent/guest/hotplug.h"
#include "agent/guest/online.h"
#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/storage/storage.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/version.h"

#define MEMORY_DIR "devices/system/memory"

static const char *const extra_features[] = { "agent-policy", "seccomp" };

static int block_size(const struct roots *roots, uint64_t *out, struct error *err);
static int agent_details(struct call *call, Grpc__AgentDetails *details);
static char **copy_names(struct arena *arena, const char *(*name)(size_t i), size_t *n);
static int probe_work(struct worker *w, void *arg, struct error *err);
static int reseed_work(struct worker *w, void *arg, struct error *err);

static enum rpc_outcome
get_guest_details(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__GuestDetailsRequest *req = request;
	Grpc__GuestDetailsResponse *reply = response;
	const struct roots *roots = &call_agent(call)->roots;

	if (req->mem_block_size && block_size(roots, &reply->mem_block_size_bytes, err) < 0)
		return RPC_FAILED;
	if (req->mem_hotplug_probe)
		reply->support_mem_hotplug_probe =
			faccessat(roots->sys, MEMORY_DIR "/probe", F_OK, 0) == 0;
	reply->agent_details = arena_zalloc(call_arena(call), 1, sizeof(*reply->agent_details));
	if (!reply->agent_details) {
		error_nomem(err, "reporting the agent's details");
		return RPC_FAILED;
	}
	grpc__agent_details__init(reply->agent_details);
	if (agent_details(call, reply->agent_details) < 0) {
		error_nomem(err, "reporting the agent's details");
		return RPC_FAILED;
	}
	return RPC_REPLY;
}

/* Reads the size of a memory block in bytes; 0 if the kernel has no memory hot-plug. */
static int
block_size(const struct roots *roots, uint64_t *out, struct error *err)
{
	char text[32];

	*out = 0;
	if (read_text_at(roots->sys, MEMORY_DIR "/block_size_bytes", text, sizeof(text)) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "failed to read the memory block size");
	if (!parse_hex(text, out))
		return error_set(err, ERROR_INTERNAL, "Invalid block size: %s", text);
	return 0;
}

static char **
copy_strings(struct arena *arena, const char *const *strings, size_t n)
{
	char **copies = arena_zalloc(arena, n, sizeof(*copies));

	for (size_t i = 0; copies && i < n; i++) {
		copies[i] = arena_strdup(arena, strings[i]);
		if (!copies[i])
			return NULL;
	}
	return copies;
}

static int
agent_details(struct call *call, Grpc__AgentDetails *details)
{
	struct arena *arena = call_arena(call);

	details->version = arena_strdup(arena, tatami_version);
	details->init_daemon = initlink_is_pid1(call_agent(call)->init);
	details->supports_seccomp = true;
	details->storage_handlers =
		copy_names(arena, storage_driver_name, &details->n_storage_handlers);
	details->device_handlers = copy_names(arena, device_type_name, &details->n_device_handlers);
	details->extra_features = copy_strings(arena, extra_features, ARRAY_LEN(extra_features));
	details->n_extra_features = ARRAY_LEN(extra_features);
	return details->version && details->storage_handlers && details->device_handlers &&
			       details->extra_features
		       ? 0
		       : -1;
}

static char **
copy_names(struct arena *arena, const char *(*name)(size_t i), size_t *n)
{
	const char *names[64];

	for (*n = 0; *n < ARRAY_LEN(names); ++*n) {
		names[*n] = name(*n);
		if (!names[*n])
			break;
	}
	return copy_strings(arena, names, *n);
}

/* ---- processors and memory ---- */

/* Ignores `wait` and always waits: hosts continue when the reply arrives. */
static enum rpc_outcome
online_cpu_mem(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__OnlineCPUMemRequest *req = request;

	(void)response;
	if (req->nb_cpus == 0 && req->cpu_only)
		return RPC_REPLY;
	return call_park(call, online_start(call_agent(call)->guest, req->nb_cpus, !req->cpu_only,
					    operation_done, call, err));
}

struct probe_work {
	int sys;
	size_t n;
	uint64_t addresses[];
};

#define PROBE_MS 60000
/* 8 TiB in blocks of the smallest size. */
#define PROBES_MAX 65536

static const struct job_ops probe_job = {
	.name = "probe memory",
	.work = probe_work,
	.done = operation_job_done,
};

static enum rpc_outcome
mem_hotplug_by_probe(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__MemHotplugByProbeRequest *req = request;
	struct agent *agent = call_agent(call);
	size_t n = req->n_memhotplugprobeaddr;
	struct job_spec job = {
		.ops = &probe_job,
		.free_arg = free,
		.data = call,
		.keep_fds = &agent->roots.sys,
		.n_keep_fds = 1,
		.deadline_ms = PROBE_MS,
	};
	struct probe_work *work;

	(void)response;
	if (n > PROBES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid number of memory addresses %zu: the maximum is %d", n,
				 PROBES_MAX);
	if (n == 0)
		return RPC_REPLY;
	work = job.arg = malloc(sizeof(*work) + n * sizeof(work->addresses[0]));
	if (!work)
		return error_nomem(err, "preparing a worker");
	work->sys = agent->roots.sys;
	work->n = n;
	memcpy(work->addresses, req->memhotplugprobeaddr, n * sizeof(work->addresses[0]));
	return call_park(call, job_pending(job_start(agent->jobs, &job, err)));
}

static int
probe_work(struct worker *w, void *arg, struct error *err)
{
	const struct probe_work *work = arg;

	(void)w;
	/* The events of the new blocks update the limits (agent/guest/online.c). */
	return hotplug_probe_memory(work->sys, work->addresses, work->n, err);
}

/* ---- time and randomness ---- */

static enum rpc_outcome
set_guest_date_time(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__SetGuestDateTimeRequest *req = request;

	(void)call;
	(void)response;
	return clock_set(req->sec, req->usec, err) < 0 ? RPC_FAILED : RPC_REPLY;
}

struct reseed_work {
	int dev;
	size_t n;
	uint8_t data[];
};

#define RESEED_MS 10000

static const struct job_ops reseed_job = {
	.name = "reseed the random numbers",
	.work = reseed_work,
	.done = operation_job_done,
};

static enum rpc_outcome
reseed_random_dev(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__ReseedRandomDevRequest *req = request;
	struct agent *agent = call_agent(call);
	struct job_spec job = {
		.ops = &reseed_job,
		.free_arg = free,
		.data = call,
		.keep_fds = &agent->roots.dev,
		.n_keep_fds = 1,
		.deadline_ms = RESEED_MS,
	};
	struct reseed_work *work;

	(void)response;
	if (req->data.len == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "missing entropy data");
	work = job.arg = malloc(sizeof(*work) + req->data.len);
	if (!work)
		return error_nomem(err, "preparing a worker");
	work->dev = agent->roots.dev;
	work->n = req->data.len;
	memcpy(work->data, req->data.data, req->data.len);
	return call_park(call, job_pending(job_start(agent->jobs, &job, err)));
}

static int
reseed_work(struct worker *w, void *arg, struct error *err)
{
	const struct reseed_work *work = arg;

	(void)w;
	return entropy_reseed(work->dev, work->data, work->n, err);
}

static const struct rpc_method methods[] = {
	{ "GetGuestDetails", get_guest_details, 0 },
	{ "OnlineCPUMem", online_cpu_mem, 0 },
	{ "MemHotplugByProbe", mem_hotplug_by_probe, 0 },
	{ "SetGuestDateTime", set_guest_date_time, 0 },
	{ "ReseedRandomDev", reseed_random_dev, 0 },
};
const struct rpc_area rpc_guest = RPC_AREA(methods);
