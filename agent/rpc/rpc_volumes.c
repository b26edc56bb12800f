/* SPDX-License-Identifier: Apache-2.0 */
/* GetVolumeStats, ResizeVolume, UpdateEphemeralMounts, RemoveStaleVirtiofsShareMounts, AddSwap
 * and AddSwapPath. */
#include <stdio.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/server/call.h"
#include "agent/storage/volume.h"
#include "csi.pb-c.h"

/* The bridges on the path to a device, and the device. */
#define PCI_SLOTS_MAX 8

static void usage_done(const struct error *err, const struct volume_usage *usage, void *data);
static int fill_usage(struct call *call, const struct volume_usage *u, struct error *err);
static enum rpc_outcome swap_outcome(struct call *call, const char *location, struct error *err);

static struct volume_parts
parts_of(struct call *call)
{
	struct agent *agent = call_agent(call);

	return (struct volume_parts){
		.jobs = agent->jobs,
		.roots = &agent->roots,
		.devices = agent->devices,
		.storages = agent->storages,
	};
}

static enum rpc_outcome
get_volume_stats(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__VolumeStatsRequest *req = request;
	const struct volume_parts parts = parts_of(call);

	(void)response;
	return call_park(call, volume_usage(&parts, req->volume_guest_path, usage_done, call, err));
}

static void
usage_done(const struct error *err, const struct volume_usage *usage, void *data)
{
	struct call *call = data;
	struct error why = *err;

	if (why.code == ERROR_OK)
		(void)fill_usage(call, usage, &why);
	operation_done(&why, call);
}

static Grpc__VolumeUsage *
usage_row(struct call *call, Grpc__VolumeUsage__Unit unit, uint64_t total, uint64_t available,
	  uint64_t used)
{
	Grpc__VolumeUsage *u = arena_alloc(call_arena(call), sizeof(*u));

	if (!u)
		return NULL;
	grpc__volume_usage__init(u);
	u->unit = unit;
	u->total = total;
	u->available = available;
	u->used = used;
	return u;
}

static int
fill_usage(struct call *call, const struct volume_usage *u, struct error *err)
{
	Grpc__VolumeStatsResponse *reply = call_response(call);
	struct arena *arena = call_arena(call);
	Grpc__VolumeCondition *condition = arena_alloc(arena, sizeof(*condition));

	reply->usage = arena_zalloc(arena, 2, sizeof(*reply->usage));
	if (!condition || !reply->usage)
		return error_nomem(err, "reporting a volume's statistics");
	grpc__volume_condition__init(condition);
	condition->abnormal = u->is_abnormal;
	condition->message = arena_strdup(arena, u->message);
	reply->volume_condition = condition;
	reply->usage[0] =
		usage_row(call, GRPC__VOLUME_USAGE__UNIT__BYTES, u->total, u->available, u->used);
	reply->usage[1] = usage_row(call, GRPC__VOLUME_USAGE__UNIT__INODES, u->inodes,
				    u->inodes_available, u->inodes_used);
	if (!condition->message || !reply->usage[0] || !reply->usage[1])
		return error_nomem(err, "reporting a volume's statistics");
	reply->n_usage = 2;
	return 0;
}

static enum rpc_outcome
resize_volume(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__ResizeVolumeRequest *req = request;
	const struct volume_parts parts = parts_of(call);

	(void)response;
	return call_park(call, volume_resize(&parts, req->volume_guest_path, req->size,
					     operation_done, call, err));
}

static enum rpc_outcome
remove_stale_virtiofs_share_mounts(struct call *call, const void *request, void *response,
				   struct error *err)
{
	const struct volume_parts parts = parts_of(call);

	(void)request;
	(void)response;
	return call_park(call, volume_share_revalidate(&parts, operation_done, call, err));
}

static enum rpc_outcome
update_ephemeral_mounts(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__UpdateEphemeralMountsRequest *req = request;
	const struct volume_parts parts = parts_of(call);
	struct storage_spec *specs;

	(void)response;
	/* Hosts send an empty request with every change of a container's limits. */
	if (req->n_storages == 0)
		return RPC_REPLY;
	specs = operation_storages(call, req->storages, req->n_storages, err);
	if (!specs)
		return RPC_FAILED;
	return call_park(
		call, ephemeral_update(&parts, specs, req->n_storages, operation_done, call, err));
}

static enum rpc_outcome
add_swap(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__AddSwapRequest *req = request;
	char path[PCI_SLOTS_MAX * 3 + 1] = "";
	size_t len = 0;

	(void)response;
	if (req->n_pcipath == 0 || req->n_pcipath > PCI_SLOTS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to add swap: invalid PCI path of %zu elements",
				 req->n_pcipath);
	for (size_t i = 0; i < req->n_pcipath; i++) {
		if (req->pcipath[i] > 0x1f)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add swap: invalid PCI slot %u",
					 req->pcipath[i]);
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%02x", i ? "/" : "",
					req->pcipath[i]);
	}
	return swap_outcome(call, path, err);
}

static enum rpc_outcome
swap_outcome(struct call *call, const char *location, struct error *err)
{
	const struct volume_parts parts = parts_of(call);

	return call_park(call, swap_add(&parts, location, operation_done, call, err));
}

static enum rpc_outcome
add_swap_path(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__AddSwapPathRequest *req = request;

	(void)response;
	if (req->path[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to add swap: \"%.128s\" is not an absolute path",
				 req->path);
	return swap_outcome(call, req->path, err);
}

static const struct rpc_method methods[] = {
	{ "GetVolumeStats", get_volume_stats, 0 },
	{ "ResizeVolume", resize_volume, 0 },
	{ "UpdateEphemeralMounts", update_ephemeral_mounts, 0 },
	{ "RemoveStaleVirtiofsShareMounts", remove_stale_virtiofs_share_mounts, 0 },
	{ "AddSwap", add_swap, 0 },
	{ "AddSwapPath", add_swap_path, 0 },
};
const struct rpc_area rpc_volumes = RPC_AREA(methods);
