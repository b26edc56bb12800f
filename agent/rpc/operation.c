/* SPDX-License-Identifier: Apache-2.0 */
/* Connects calls with the sandbox's operations. Called by the handlers of this directory. */
#include "agent/rpc/operation.h"

void
operation_done(const struct error *err, void *data)
{
	struct call *call = data;

	if (err->code == ERROR_OK)
		call_reply(call);
	else
		call_fail(call, err);
}

void
operation_job_done(struct job *job, const struct error *err, void *data)
{
	(void)job;
	operation_done(err, data);
}

enum rpc_outcome
operation_outcome(struct call *call, enum op_outcome outcome, struct pending *p)
{
	switch (outcome) {
	case OP_PENDING:
		return call_park(call, p);
	case OP_DONE:
		return RPC_REPLY;
	case OP_FAILED:
		break;
	}
	return RPC_FAILED;
}

struct storage_spec *
operation_storages(struct call *call, Grpc__Storage *const *storages, size_t n, struct error *err)
{
	struct storage_spec *specs = arena_zalloc(call_arena(call), n > 0 ? n : 1, sizeof(*specs));

	if (!specs) {
		error_nomem(err, "reading the storages");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		const Grpc__Storage *from = storages[i];

		specs[i] = (struct storage_spec){
			.driver = from->driver,
			.source = from->source,
			.fstype = from->fstype,
			.mount_point = from->mount_point,
			.options = (const char *const *)from->options,
			.n_options = from->n_options,
			.driver_options = (const char *const *)from->driver_options,
			.n_driver_options = from->n_driver_options,
			.has_fs_group = from->fs_group != NULL,
			.shared = from->shared,
		};
		if (from->fs_group) {
			specs[i].fs_group_id = from->fs_group->group_id;
			specs[i].fs_group_policy = from->fs_group->group_change_policy;
		}
	}
	return specs;
}
