/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: from a request frame to its one reply. The only place where a struct error becomes a
 * Status. Called by server.c, and by agent/rpc for calls that were parked. Never blocks.
 *
 *   frame -> handler -> RPC_REPLY, RPC_FAILED -> answered
 *                    -> RPC_LATER: parked     -> answered    call_reply(), call_fail()
 *                                             -> cancelled   its connection ends, or it times out
 */
#include "agent/server/call.h"

#include <stdlib.h>
#include <string.h>

#include "agent/server/conn.h"
#include "agent/server/memory.h"
#include "agent/server/server_internal.h"
#include "agent/server/trace.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/pbcheck.h"
#include "lib/ttrpc/envelope.h"

struct call {
	/* In conn->calls. */
	struct list node;
	struct server *server;
	/* NULL: the connection is closed, no reply is possible. */
	struct conn *conn;
	const struct rpc_method *method;
	const ProtobufCMessageDescriptor *output;
	uint32_t stream;
	/* The caller of the handler frees it. */
	bool in_handler;
	/* It was completed from inside the handler. */
	bool is_ended;
	/* The policy requires an empty reply. */
	bool is_blank;
	struct arena arena;
	size_t charged;
	ProtobufCMessage *request, *response;
	struct timer *timer;
	/* The operation it waits for; NULL: its handler started nothing that can be cancelled. */
	struct pending *pending;
	struct trace_span span;
	/* The fields of log records written for it; the strings belong to the request. */
	struct log_context log;
	/* The final status, for the span. */
	enum error_code code;
	/* The room of call_reserve_bytes(). */
	uint8_t *room;
	size_t reserved;
	bool is_room_queued;
	/* Its reply is in the queue of the connection already. */
	bool is_committed;
	/* Its message in the frame while the handler runs, if that may point into it; else NULL. */
	const uint8_t *borrowed;
	size_t n_borrowed;
	/* Its frame, if it was kept as a whole. */
	struct buf kept;
};

struct target {
	const char *service;
	/* NULL: known, but not implemented */
	const struct rpc_method *method;
	const ProtobufCMethodDescriptor *descriptor;
};

static void call_cancel(struct call *call);
static void call_log_failure(struct call *call, const struct error *err);
static int call_take_request(struct conn *conn, uint32_t stream,
			     const struct envelope_request *request, struct error *err);
static int call_look_up(const struct server_spec *spec, const char *service, const char *method,
			struct target *target, struct error *err);
static struct call *call_new(struct conn *conn, uint32_t stream, const struct rpc_method *method,
			     struct error *err);
static int call_decode(struct call *call, const ProtobufCMethodDescriptor *descriptor,
		       const ProtobufCBinaryData *payload, struct error *err);
static void call_run(struct call *call, int64_t timeout_ns);

static void
call_free(struct call *call)
{
	bool is_large = call->arena.used > ARENA_SPARE_MIN;

	trace_end(call->server->spec->tracer, &call->span, call->code);
	timer_cancel(call->timer);
	memory_uncharge(call->server, call->charged);
	arena_release(&call->arena);
	if (call->kept.size > 0)
		memory_give_frame(call->server, &call->kept);
	/* Last: if there is no memory for a timer, the spare is freed at once. */
	if (is_large && call->server->spare.chunk)
		memory_keep_spare(call->server);
	call->server->counts.calls--;
	free(call);
}

/* Detaches the call from its connection and returns the connection. */
static struct conn *
call_detach(struct call *call)
{
	struct conn *conn = call->conn;

	if (!conn)
		return NULL;
	call->conn = NULL;
	list_remove(&call->node);
	conn->n_calls--;
	timer_cancel(call->timer);
	call->timer = NULL;
	return conn;
}

static void
call_end(struct call *call)
{
	if (call->in_handler)
		call->is_ended = true;
	else
		call_free(call);
}

struct agent *
call_agent(struct call *call)
{
	return call->server->spec->agent;
}

struct arena *
call_arena(struct call *call)
{
	return &call->arena;
}

void *
call_response(struct call *call)
{
	return call->response;
}

const void *
call_request(struct call *call)
{
	return call->request;
}

enum rpc_outcome
call_park(struct call *call, struct pending *pending)
{
	if (!pending)
		return RPC_FAILED;
	call->pending = pending;
	return RPC_LATER;
}

void
call_abandon_all(struct list *calls)
{
	while (!list_is_empty(calls)) {
		struct call *call = list_entry(calls->next, struct call, node);

		(void)call_detach(call);
		call->code = ERROR_CANCELLED;
		call_cancel(call);
	}
}

/* Cancels the operation of a call that can no longer be answered. A call without a cancellable
 * operation ends later, with call_reply() or call_fail(). */
static void
call_cancel(struct call *call)
{
	const struct log_context *former;

	if (!call->pending)
		return;
	former = log_context_set(&call->log);
	pending_cancel(&call->pending);
	(void)log_context_set(former);
	call_end(call);
}

static bool
call_is_inside(const uint8_t *at, const uint8_t *data, size_t n)
{
	return data && at >= data && at < data + n;
}

static int
call_charge(struct call *call, size_t n, struct error *err)
{
	if (!memory_charge(call->server, n))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: requests take too much memory",
				 call->method->name);
	call->charged += n;
	return 0;
}

const uint8_t *
call_keep_bytes(struct call *call, const uint8_t *data, size_t n, struct error *err)
{
	struct frame_reader *reader = &call->conn->reader;
	size_t size = reader->payload.size, before = call->arena.used, more;
	uint8_t *copy;

	if (!call_is_inside(data, call->borrowed, call->n_borrowed))
		return data;
	/* A large frame has memory of its own, which costs less to keep than to copy. */
	if (size > READ_MAX &&
	    call_is_inside(data, buf_head(&reader->payload), buf_len(&reader->payload))) {
		if (call_charge(call, size - call->n_borrowed, err) < 0)
			return NULL;
		frame_reader_take(reader, &call->kept);
		return data;
	}
	copy = arena_memdup(&call->arena, data, n);
	if (!copy) {
		error_nomem(err, call->method->name);
		return NULL;
	}
	/* The spare block of the arena may be larger than what is charged already. */
	more = call->arena.used - before;
	if (more > call->n_borrowed && call_charge(call, more - call->n_borrowed, err) < 0)
		return NULL;
	return copy;
}

uint8_t *
call_reserve_bytes(struct call *call, size_t n)
{
	/* Bytes that the policy withholds must not be queued. */
	bool is_direct = call->conn && !call->is_blank;

	call->room = is_direct ? conn_reserve_bytes(call->conn, n) : NULL;
	call->is_room_queued = call->room != NULL;
	call->reserved = n;
	if (!call->room)
		call->room = arena_alloc(&call->arena, n);
	return call->room;
}

void
call_commit_bytes(struct call *call, size_t n)
{
	const ProtobufCFieldDescriptor *field = &call->output->fields[0];
	ProtobufCBinaryData *data = (void *)((char *)call->response + field->offset);

	if (!call->is_room_queued) {
		*data = (ProtobufCBinaryData){ .data = call->room, .len = n };
		return;
	}
	conn_commit_bytes(call->conn, call->stream, (uint8_t)field->id, call->reserved, n);
	call->is_committed = true;
}

void
call_reply(struct call *call)
{
	struct conn *conn = call_detach(call);

	call->pending = NULL;
	if (conn) {
		if (call->is_blank)
			protobuf_c_message_init(call->output, call->response);
		call->server->counts.served++;
		conn->has_served = true;
		if (call->method->flags & RPC_OF_RUNTIME)
			call->server->runtime = conn;
		if (call->is_committed)
			conn_write(conn);
		else
			conn_reply(conn, call->stream, call->response);
	}
	call_end(call);
}

void
call_fail(struct call *call, const struct error *err)
{
	struct conn *conn = call_detach(call);

	call->pending = NULL;
	if (call->code == ERROR_OK)
		call->code = err->code;
	if (conn) {
		call_log_failure(call, err);
		call->server->counts.served++;
		conn->has_served = true;
		conn_fail(conn, call->stream, err);
	}
	call_end(call);
}

/* Logs a failed call, at most FAILURES_LOGGED per second, and then how many more there were. */
static void
call_log_failure(struct call *call, const struct error *err)
{
	struct failure_log *log = &call->server->failures;
	const struct log_field fields[] = {
		{ "code", error_code_name(err->code) },
	};
	const struct log_context *former;
	uint64_t now = monotonic_ns();

	if (now - log->since_ns >= NS_PER_S) {
		if (log->silent > 0)
			log_warn("rpc", "%u more calls failed", log->silent);
		*log = (struct failure_log){ .since_ns = now };
	}
	if (log->lines == FAILURES_LOGGED) {
		log->silent++;
		return;
	}
	log->lines++;
	former = log_context_set(&call->log);
	log_event(err->code == ERROR_INTERNAL ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "rpc",
		  EVENT_CALL_FAILED, fields, ARRAY_LEN(fields), "call failed: %s", err->msg);
	(void)log_context_set(former);
}

static void
call_late(void *data)
{
	struct call *call = data;
	struct error err = ERROR_INIT;
	struct conn *conn;

	call->timer = NULL;
	error_set(&err, ERROR_DEADLINE_EXCEEDED, "timeout");
	call->code = err.code;
	conn = call_detach(call);
	if (conn)
		conn_fail(conn, call->stream, &err);
	call_cancel(call);
}

/* ---- from a frame to a handler ---- */

/* Returns whether the method is a health check, which is answered even when resources are
 * exhausted: it asks whether the agent still responds. */
static bool
call_is_health(const struct rpc_method *method)
{
	return (method->flags & RPC_NO_POLICY) != 0;
}

void
call_dispatch(struct conn *conn, uint32_t stream, const uint8_t *payload, size_t n)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_ENVELOPE;
	struct envelope_request request;
	struct error err = ERROR_INIT;

	/* These checks need no decoding. */
	if (stream % 2 == 0) {
		error_set(&err, ERROR_INVALID_ARGUMENT, "stream id must be odd");
		conn_fail(conn, stream, &err);
		return;
	}
	if (conn->server->is_draining) {
		error_set(&err, ERROR_UNAVAILABLE, "the agent is shutting down");
		conn_fail(conn, stream, &err);
		return;
	}
	if (envelope_read_request(payload, n, &limits, &request, &err) < 0 ||
	    call_take_request(conn, stream, &request, &err) < 0) {
		log_debug("rpc", "request rejected: %s", err.msg);
		conn_fail(conn, stream, &err);
	}
}

static int
call_take_request(struct conn *conn, uint32_t stream, const struct envelope_request *request,
		  struct error *err)
{
	const ProtobufCBinaryData payload = { .len = request->payload_len,
					      .data = (uint8_t *)(uintptr_t)request->payload };
	struct target target = { 0 };
	struct call *call;

	if (call_look_up(conn->server->spec, request->service, request->method, &target, err) < 0)
		return -1;
	if (conn->n_calls >= CALLS_MAX && !call_is_health(target.method))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "too many calls in flight on this connection: %u", conn->n_calls);
	if (request->timeout_ns < 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "timeout");
	call = call_new(conn, stream, target.method, err);
	if (!call)
		return -1;
	trace_begin(conn->server->spec->tracer, &call->span, target.service, target.method->name,
		    request->traceparent);
	if (call_decode(call, target.descriptor, &payload, err) < 0) {
		call->code = err->code;
		(void)call_detach(call);
		call_free(call);
		return -1;
	}
	call_run(call, request->timeout_ns);
	return 0;
}

static int
call_look_up(const struct server_spec *spec, const char *service, const char *method,
	     struct target *target, struct error *err)
{
	const ProtobufCServiceDescriptor *found = NULL;

	for (size_t i = 0; i < spec->n_services; i++) {
		found = spec->services[i].descriptor;
		if (strcmp(found->name, service) != 0)
			continue;
		target->service = found->name;
		target->descriptor =
			protobuf_c_service_descriptor_get_method_by_name(found, method);
		if (!target->descriptor)
			return error_set(err, ERROR_UNIMPLEMENTED, "%s method", method);
		target->method = spec->services[i].methods[target->descriptor - found->methods];
		if (!target->method)
			return error_set(err, ERROR_UNIMPLEMENTED, "%s method is not implemented",
					 method);
		return 0;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s " TEXT_NO_SERVICE, service);
}

static struct call *
call_new(struct conn *conn, uint32_t stream, const struct rpc_method *method, struct error *err)
{
	struct server *server = conn->server;
	struct call *call = calloc(1, sizeof(*call));
	size_t left = MEMORY_MAX - server->counts.memory;

	if (!call) {
		error_nomem(err, "creating a call");
		return NULL;
	}
	call->server = server;
	call->conn = conn;
	call->method = method;
	call->log.method = method->name;
	call->stream = stream;
	arena_init_spare(&call->arena,
			 call_is_health(method)  ? HEALTH_ARENA_MAX
			 : left < CALL_ARENA_MAX ? left
						 : CALL_ARENA_MAX,
			 &server->spare);
	list_append(&conn->calls, &call->node);
	conn->n_calls++;
	server->counts.calls++;
	return call;
}

/* Returns the text of a request's field, or NULL if its message has no field of that name. */
static const char *
call_request_text(const ProtobufCMessage *request, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);

	if (!field || field->type != PROTOBUF_C_TYPE_STRING ||
	    field->label == PROTOBUF_C_LABEL_REPEATED)
		return NULL;
	return *(const char *const *)((const char *)request + field->offset);
}

static int
call_decode(struct call *call, const ProtobufCMethodDescriptor *descriptor,
	    const ProtobufCBinaryData *payload, struct error *err)
{
	ProtobufCAllocator allocator = { arena_pb_alloc, arena_pb_free, &call->arena };
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	size_t charge;

	call->output = descriptor->output;
	if (call->method->flags & RPC_BORROWS) {
		call->borrowed = payload->data;
		call->n_borrowed = payload->len;
		call->request = pbcheck_unpack_tail(descriptor->input, payload->data, payload->len,
						    &limits, &allocator, err);
	} else {
		call->request = pbcheck_unpack(descriptor->input, payload->data, payload->len,
					       &limits, &allocator, err);
	}
	if (!call->request)
		return error_wrap(err, "%s", call->method->name);
	call->response = arena_zalloc(&call->arena, 1, descriptor->output->sizeof_message);
	/* Borrowed bytes are charged, too: they may have to be kept. */
	charge = call->arena.used + call->n_borrowed;
	if (call_is_health(call->method))
		charge = 0;
	if (!call->response || !memory_charge(call->server, charge))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: requests take too much memory",
				 call->method->name);
	call->charged = charge;
	protobuf_c_message_init(descriptor->output, call->response);
	call->log.container_id = call_request_text(call->request, "container_id");
	call->log.exec_id = call_request_text(call->request, "exec_id");
	call->log.sandbox = call_request_text(call->request, "sandbox_id");
	return 0;
}

/* Sets the timeout of a call that was parked. */
static void
call_limit(struct call *call, int64_t timeout_ns)
{
	struct error err = ERROR_INIT;

	if (timeout_ns <= 0 || !call->conn)
		return;
	call->timer =
		loop_timer(call->server->loop, ((uint64_t)timeout_ns + NS_PER_MS - 1) / NS_PER_MS,
			   call_late, call, &err);
	if (!call->timer)
		log_warn("rpc", "%s runs without its timeout: %s", call->method->name, err.msg);
}

static void
call_run(struct call *call, int64_t timeout_ns)
{
	const struct server_spec *spec = call->server->spec;
	const struct log_context *former = log_context_set(&call->log);
	struct error err = ERROR_INIT;
	enum rpc_outcome outcome = RPC_FAILED;

	log_event(LOG_LEVEL_DEBUG, "rpc", EVENT_CALL, NULL, 0, "%s", call->method->name);
	call->in_handler = true;
	if (!spec->gate ||
	    spec->gate(spec->agent, call->method, call->request, &call->is_blank, &err) == 0)
		outcome = call->method->handler(call, call->request, call->response, &err);
	(void)log_context_set(former);
	if (call->is_ended) {
		call_free(call);
		return;
	}
	call->in_handler = false;
	call->borrowed = NULL;
	switch (outcome) {
	case RPC_REPLY:
		call_reply(call);
		return;
	case RPC_LATER:
		call_limit(call, timeout_ns);
		return;
	case RPC_FAILED:
		break;
	}
	if (err.code == ERROR_OK)
		error_set(&err, ERROR_INTERNAL, "%s failed without a reason", call->method->name);
	call_fail(call, &err);
}
