/* SPDX-License-Identifier: Apache-2.0 */
/* CopyFile. */
#include <sys/stat.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/files/copy.h"
#include "agent/rpc/operation.h"
#include "agent/rpc/rpc.h"
#include "agent/server/call.h"

static enum rpc_outcome
copy_file(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__CopyFileRequest *req = request;
	const uint8_t *data = call_keep_bytes(call, req->data.data, req->data.len, err);
	const struct copy_part part = {
		.path = req->path,
		/* A mode without a file type means a regular file. */
		.file_mode = req->file_mode & S_IFMT ? req->file_mode : req->file_mode | S_IFREG,
		.dir_mode = req->dir_mode,
		.uid = req->uid,
		.gid = req->gid,
		.file_size = req->file_size,
		.offset = req->offset,
		.data = data,
		.len = req->data.len,
	};

	(void)response;
	if (!data && req->data.len > 0)
		return RPC_FAILED;
	return call_park(call,
			 copies_submit(call_agent(call)->copies, &part, operation_done, call, err));
}

static const struct rpc_method methods[] = {
	{ "CopyFile", copy_file, RPC_BORROWS },
};
const struct rpc_area rpc_files = RPC_AREA(methods);
