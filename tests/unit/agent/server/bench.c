/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/server/bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/ttrpc/envelope.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

static struct bench *
bench_of(struct call *call)
{
	return (struct bench *)(void *)call_agent(call);
}

static enum rpc_outcome
check(struct call *call, const void *request, void *response, struct error *err)
{
	Grpc__HealthCheckResponse *reply = response;

	(void)call;
	(void)request;
	(void)err;
	reply->status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	return RPC_REPLY;
}

static void
cancelled(struct pending *p)
{
	struct bench_wait *w = pending_entry(p, struct bench_wait, pending);
	struct bench *b = w->bench;

	b->n_cancelled++;
	b->parked[w - b->waits] = NULL;
}

static enum rpc_outcome
wait_process(struct call *call, const void *request, void *response, struct error *err)
{
	struct bench *b = bench_of(call);
	struct bench_wait *w;

	(void)response;
	REQUIRE_EQ(call_request(call), request);
	if (b->n_parked == BENCH_PARKED_MAX) {
		error_set(err, ERROR_INTERNAL, "the bench is full");
		return RPC_FAILED;
	}
	w = &b->waits[b->n_parked];
	*w = (struct bench_wait){ .pending.cancel = cancelled, .bench = b };
	b->parked[b->n_parked++] = call;
	return call_park(call, &w->pending);
}

/* Without a way to cancel it. */
static enum rpc_outcome
exec_process(struct call *call, const void *request, void *response, struct error *err)
{
	struct bench *b = bench_of(call);

	(void)request;
	(void)response;
	(void)err;
	b->parked[b->n_parked++] = call;
	return RPC_LATER;
}

/* Answers from inside, and says later. */
static enum rpc_outcome
start_container(struct call *call, const void *request, void *response, struct error *err)
{
	(void)request;
	(void)response;
	(void)err;
	call_reply(call);
	return RPC_LATER;
}

static enum rpc_outcome
read_stdout(struct call *call, const void *request, void *response, struct error *err)
{
	Grpc__ReadStreamResponse *reply = response;

	(void)request;
	if (bench_of(call)->read_room > 0) {
		uint8_t *room = call_reserve_bytes(call, bench_of(call)->read_room);

		REQUIRE(room);
		memset(room, 'x', bench_of(call)->read_size);
		call_commit_bytes(call, bench_of(call)->read_size);
		return RPC_REPLY;
	}
	reply->data.len = bench_of(call)->read_size;
	reply->data.data = arena_zalloc(call_arena(call), 1, reply->data.len + 1);
	if (!reply->data.data) {
		error_nomem(err, "reading");
		return RPC_FAILED;
	}
	return RPC_REPLY;
}

/* Parks, and keeps the data. */
static enum rpc_outcome
write_stdin(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__WriteStreamRequest *q = request;
	struct bench *b = bench_of(call);
	const uint8_t *data =
		call_keep_bytes(call, q->data.data + b->written, q->data.len - b->written, err);

	(void)response;
	if (!data)
		return RPC_FAILED;
	REQUIRE_LT(b->n_kept, BENCH_KEPT_MAX);
	b->writes[b->n_kept] = call;
	b->kept[b->n_kept++] = data;
	return RPC_LATER;
}

static enum rpc_outcome
remove_container(struct call *call, const void *request, void *response, struct error *err)
{
	(void)call;
	(void)request;
	(void)response;
	error_set(err, ERROR_NOT_FOUND, "raw \xff\x01 bytes");
	return RPC_FAILED;
}

static enum rpc_outcome
no_reason(struct call *call, const void *request, void *response, struct error *err)
{
	(void)call;
	(void)request;
	(void)response;
	(void)err;
	return RPC_FAILED;
}

static const struct rpc_method agent_methods[] = {
	{ "WaitProcess", wait_process, 0 },
	{ "ExecProcess", exec_process, 0 },
	{ "ReadStdout", read_stdout, 0 },
	{ "WriteStdin", write_stdin, RPC_BORROWS },
	{ "RemoveContainer", remove_container, 0 },
	{ "StartContainer", start_container, 0 },
	{ "PauseContainer", no_reason, 0 },
	{ "CreateSandbox", start_container, RPC_OF_RUNTIME },
};
static const struct rpc_method health_methods[] = { { "Check", check, RPC_NO_POLICY } };

static void
place(const ProtobufCServiceDescriptor *descriptor, const struct rpc_method *rows, size_t n,
      const struct rpc_method **methods)
{
	for (size_t i = 0; i < n; i++) {
		const ProtobufCMethodDescriptor *m =
			protobuf_c_service_descriptor_get_method_by_name(descriptor, rows[i].name);

		REQUIRE(m);
		methods[m - descriptor->methods] = &rows[i];
	}
}

static int
gate(struct agent *agent, const struct rpc_method *method, const ProtobufCMessage *request,
     bool *blank, struct error *err)
{
	(void)request;
	(void)err;
	*blank = ((struct bench *)(void *)agent)->is_blank;
	return method->name ? 0 : -1;
}

void
bench_init(struct bench *b)
{
	struct error err = ERROR_INIT;

	memset(b, 0, sizeof(*b));
	log_set_level(LOG_LEVEL_CRIT);
	place(&grpc__agent_service__descriptor, agent_methods, ARRAY_LEN(agent_methods), b->agent);
	place(&grpc__health__descriptor, health_methods, ARRAY_LEN(health_methods), b->health);
	b->services[0] = (struct server_service){ &grpc__agent_service__descriptor, b->agent };
	b->services[1] = (struct server_service){ &grpc__health__descriptor, b->health };
	b->spec = (struct server_spec){ .agent = (struct agent *)(void *)b,
					.services = b->services,
					.n_services = 2,
					.gate = gate };
	b->loop = loop_new(&err);
	REQUIRE(b->loop, "%s", err.msg);
	b->server = server_new(b->loop, &b->spec, &err);
	REQUIRE(b->server, "%s", err.msg);
}

void
bench_release(struct bench *b)
{
	server_free(b->server);
	loop_free(b->loop);
}

void
bench_settle(struct bench *b)
{
	struct error err = ERROR_INIT;

	for (int i = 0; i < 200; i++)
		REQUIRE_OK(loop_run_once(b->loop, 0, &err), &err);
}

void
client_init(struct client *c, struct bench *b)
{
	struct error err = ERROR_INIT;
	int pair[2];

	memset(c, 0, sizeof(*c));
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	c->bench = b;
	c->fd = pair[0];
	frame_reader_init(&c->reader);
	REQUIRE_OK(server_adopt(b->server, pair[1], &err), &err);
}

void
client_release(struct client *c)
{
	close_fd(&c->fd);
	frame_reader_release(&c->reader);
}

bool
client_send(struct client *c, const void *data, size_t n)
{
	struct error err = ERROR_INIT;
	const char *at = data;
	int idle = 0;

	while (n > 0) {
		ssize_t done = send(c->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done > 0) {
			at += done;
			n -= (size_t)done;
			idle = 0;
		} else if (errno != EAGAIN || ++idle > 1000) {
			return false;
		}
		REQUIRE_OK(loop_run_once(c->bench->loop, 0, &err), &err);
	}
	return true;
}

void
make_call(struct buf *out, uint32_t stream, const char *method, int64_t timeout_ns)
{
	const ProtobufCServiceDescriptor *services[] = { &grpc__health__descriptor,
							 &grpc__agent_service__descriptor };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const ProtobufCMethodDescriptor *m =
			protobuf_c_service_descriptor_get_method_by_name(services[i], method);
		ProtobufCMessage *message;

		if (!m)
			continue;
		message = calloc(1, m->input->sizeof_message);
		REQUIRE(message);
		protobuf_c_message_init(m->input, message);
		REQUIRE_OK(envelope_append_request(out, stream, services[i]->name, method,
						   timeout_ns, message, &err),
			   &err);
		free(message);
		return;
	}
	REQUIRE(false, "no method %s", method);
}

bool
client_call(struct client *c, uint32_t stream, const char *method, int64_t timeout_ns)
{
	struct buf out;
	bool sent;

	buf_init(&out, FRAME_PAYLOAD_MAX);
	make_call(&out, stream, method, timeout_ns);
	sent = client_send(c, buf_head(&out), buf_len(&out));
	buf_release(&out);
	return sent;
}

static void
decode(const struct frame_reader *reader, struct reply *reply)
{
	Ttrpc__Response *response = ttrpc__response__unpack(NULL, buf_len(&reader->payload),
							    buf_head(&reader->payload));

	REQUIRE(response);
	REQUIRE_EQ(reader->header.type, FRAME_RESPONSE);
	REQUIRE(response->status, "a status is always present");
	*reply = (struct reply){
		.stream = reader->header.stream,
		.code = response->status->code,
		.payload = response->payload.len,
	};
	strncpy(reply->message, response->status->message, sizeof(reply->message) - 1);
	ttrpc__response__free_unpacked(response, NULL);
}

bool
client_reply(struct client *c, struct reply *reply)
{
	struct error err = ERROR_INIT;
	uint64_t end = deadline_in(30000);
	size_t used;

	for (;;) {
		while (c->at < c->n_in) {
			enum frame_event event = frame_reader_feed(&c->reader, c->in + c->at,
								   c->n_in - c->at, &used);

			c->at += used;
			if (event == FRAME_READY) {
				decode(&c->reader, reply);
				return true;
			}
			REQUIRE_EQ(event, FRAME_MORE);
		}
		ssize_t n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);

		c->at = 0;
		c->n_in = n > 0 ? (size_t)n : 0;
		if (n > 0)
			continue;
		c->is_closed = n == 0 || errno != EAGAIN;
		if (c->is_closed || deadline_is_over(end))
			return false;
		REQUIRE_OK(loop_run_once(c->bench->loop, 10, &err), &err);
	}
}
