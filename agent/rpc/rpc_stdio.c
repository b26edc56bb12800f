/* SPDX-License-Identifier: Apache-2.0 */
/* ReadStdout, ReadStderr, WriteStdin, CloseStdin and TtyWinResize. */
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/call.h"

/* A parked read. Lives in the call's arena. The response is filled by call_commit_bytes(); that at
 * the end of the stream remains empty. */
struct read_call {
	/* Must be first. */
	struct stdio_read read;
	struct call *call;
};

static enum rpc_outcome read_stream(struct call *call, const void *request, void *response, int fd,
				    struct error *err);
static void read_done(struct stdio_read *r, const struct error *err);
static void write_done(struct stdio_write *w, const struct error *err);

static enum rpc_outcome
read_stdout(struct call *call, const void *request, void *response, struct error *err)
{
	return read_stream(call, request, response, STDOUT_FILENO, err);
}

static uint8_t *
reply_memory(struct stdio_read *r, size_t n)
{
	return call_reserve_bytes(((struct read_call *)r)->call, n);
}

static void
reply_filled(struct stdio_read *r)
{
	call_commit_bytes(((struct read_call *)r)->call, r->len);
}

static enum rpc_outcome
read_stream(struct call *call, const void *request, void *response, int fd, struct error *err)
{
	const Grpc__ReadStreamRequest *req = request;
	struct process *p = sandbox_process(call_agent(call)->sandbox, req->container_id,
					    req->exec_id, CONTAINER_CALL_STREAM, err);
	struct read_call *read;

	(void)response;
	if (!p)
		return RPC_FAILED;
	read = arena_zalloc(call_arena(call), 1, sizeof(*read));
	if (!read)
		return error_nomem(err, "reading a stream");
	read->read = (struct stdio_read){
		.max = req->len, .buffer = reply_memory, .filled = reply_filled, .done = read_done
	};
	read->call = call;
	switch (output_read(stdio_output(&p->stdio, fd), &read->read, err)) {
	case STDIO_WAITS:
		return call_park(call, &read->read.pending);
	case STDIO_DONE:
		return RPC_REPLY;
	case STDIO_FAILED:
		break;
	}
	return RPC_FAILED;
}

static void
read_done(struct stdio_read *r, const struct error *err)
{
	struct call *call = ((struct read_call *)r)->call;

	if (err->code == ERROR_OK)
		call_reply(call);
	else
		call_fail(call, err);
}

static enum rpc_outcome
read_stderr(struct call *call, const void *request, void *response, struct error *err)
{
	return read_stream(call, request, response, STDERR_FILENO, err);
}

/* A parked write. Lives in the call's arena; the bytes belong to the request, until the call is
 * parked. */
struct write_call {
	/* Must be first. */
	struct stdio_write write;
	struct call *call;
};

/* Returns how many bytes of the request the process has got. */
static uint32_t
write_count(const struct stdio_write *w)
{
	return (uint32_t)(w->before + w->written);
}

static enum rpc_outcome
write_stdin(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__WriteStreamRequest *req = request;
	Grpc__WriteStreamResponse *reply = response;
	struct process *p = sandbox_process(call_agent(call)->sandbox, req->container_id,
					    req->exec_id, CONTAINER_CALL_STREAM, err);
	struct write_call *write;
	struct pending *pending;
	const uint8_t *rest;

	if (!p)
		return RPC_FAILED;
	if (req->data.len == 0) {
		input_close(&p->stdio.in);
		return RPC_REPLY;
	}
	write = arena_zalloc(call_arena(call), 1, sizeof(*write));
	if (!write)
		return error_nomem(err, "writing to stdin");
	write->write = (struct stdio_write){ .data = req->data.data,
					     .len = req->data.len,
					     .done = write_done };
	write->call = call;
	switch (input_write(&p->stdio.in, &write->write, err)) {
	case STDIO_WAITS:
		pending = &write->write.pending;
		rest = call_keep_bytes(call, req->data.data + write->write.written,
				       req->data.len - write->write.written, err);
		if (rest) {
			input_move_rest(&write->write, rest);
			return call_park(call, pending);
		}
		pending_cancel(&pending);
		if (write->write.written == 0)
			return RPC_FAILED;
		/* The process has the first part: the caller must not send it again. */
		break;
	case STDIO_DONE:
		break;
	case STDIO_FAILED:
		return RPC_FAILED;
	}
	reply->len = write_count(&write->write);
	return RPC_REPLY;
}

static void
write_done(struct stdio_write *w, const struct error *err)
{
	struct call *call = ((struct write_call *)w)->call;
	Grpc__WriteStreamResponse *reply = call_response(call);

	reply->len = write_count(w);
	if (err->code == ERROR_OK)
		call_reply(call);
	else
		call_fail(call, err);
}

static enum rpc_outcome
close_stdin(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__CloseStdinRequest *req = request;
	struct process *p = sandbox_process(call_agent(call)->sandbox, req->container_id,
					    req->exec_id, CONTAINER_CALL_STREAM, err);

	(void)response;
	if (!p)
		return RPC_FAILED;
	input_close(&p->stdio.in);
	return RPC_REPLY;
}

static enum rpc_outcome
tty_win_resize(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__TtyWinResizeRequest *req = request;
	struct process *p = sandbox_process(call_agent(call)->sandbox, req->container_id,
					    req->exec_id, CONTAINER_CALL_STREAM, err);

	(void)response;
	if (!p || stdio_resize(&p->stdio, req->row, req->column, err) < 0)
		return RPC_FAILED;
	return RPC_REPLY;
}

static const struct rpc_method methods[] = {
	{ "WriteStdin", write_stdin, RPC_NEEDS_SANDBOX | RPC_BORROWS },
	{ "ReadStdout", read_stdout, RPC_NEEDS_SANDBOX | RPC_BLANK_IF_DENIED },
	{ "ReadStderr", read_stderr, RPC_NEEDS_SANDBOX | RPC_BLANK_IF_DENIED },
	{ "CloseStdin", close_stdin, RPC_NEEDS_SANDBOX },
	{ "TtyWinResize", tty_win_resize, RPC_NEEDS_SANDBOX },
};
const struct rpc_area rpc_stdio = RPC_AREA(methods);
