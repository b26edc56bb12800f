/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of up to more than 4 MiB on three connections of the server, in pieces of any size:
 * receiving into a frame without a copy, and reusing the memory of a large frame for the next
 * (agent/server/conn.c). The input consists of commands of four bytes. Each complete request must
 * reach its handler with the bytes that were sent, and no memory may be left when the connections
 * are closed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/server/server.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/target.h"

#define CONNS      3
#define ORDERS_MAX 64
/* maximum of one input */
#define BYTES_MAX   (12u << 20)
#define PIECES_MAX  128
#define METHODS_MAX 64

struct peer {
	/* -1: not connected */
	int fd;
	struct buf out;
};

static struct {
	struct loop *loop;
	struct server *server;
	const struct rpc_method *methods[METHODS_MAX];
	struct server_service service;
	struct server_spec spec;
	struct peer peers[CONNS];
	/* bytes */
	size_t asked;
	uint64_t sent_whole, handled;
} g;

/* Fills in the data of the request with this number. */
static const uint8_t *
data_of(uint32_t number)
{
	static uint8_t bytes[FRAME_PAYLOAD_MAX + 65536];

	for (size_t i = 0; bytes[1] == 0 && i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	return bytes + number % 251;
}

/* container_id contains the number; the data must be that of this request. */
static enum rpc_outcome
write_stdin(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__WriteStreamRequest *q = request;
	uint32_t number = (uint32_t)strtoul(q->container_id, NULL, 10);

	(void)call;
	(void)response;
	(void)err;
	MUST(q->data.len == 0 || memcmp(q->data.data, data_of(number), q->data.len) == 0);
	g.handled++;
	return RPC_REPLY;
}

static bool
keep_quiet(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

static void
set_up(void)
{
	static const struct rpc_method row = { "WriteStdin", write_stdin, 0 };
	const ProtobufCServiceDescriptor *d = &grpc__agent_service__descriptor;
	const ProtobufCMethodDescriptor *m =
		protobuf_c_service_descriptor_get_method_by_name(d, row.name);
	struct error err = ERROR_INIT;

	if (g.server)
		return;
	log_set_sink(keep_quiet, NULL);
	g.methods[m - d->methods] = &row;
	g.service = (struct server_service){ d, g.methods };
	g.spec = (struct server_spec){ .services = &g.service, .n_services = 1 };
	g.loop = loop_new(&err);
	MUST(g.loop);
	g.server = server_new(g.loop, &g.spec, &err);
	MUST(g.server);
	for (size_t i = 0; i < CONNS; i++) {
		g.peers[i].fd = -1;
		buf_init(&g.peers[i].out, 2 * BYTES_MAX);
	}
}

/* Runs the server until it is idle, and drops its replies. */
static void
turn(void)
{
	static uint8_t sink[65536];
	struct error err = ERROR_INIT;

	MUST(loop_run_once(g.loop, 0, &err) == 0);
	for (size_t i = 0; i < CONNS; i++) {
		struct peer *p = &g.peers[i];
		ssize_t n;

		if (p->fd < 0)
			continue;
		do
			n = recv(p->fd, sink, sizeof(sink), MSG_DONTWAIT);
		while (n > 0);
		/* closed by the server because of an oversize frame */
		if (n == 0 || errno != EAGAIN) {
			close_fd(&p->fd);
			buf_consume(&p->out, buf_len(&p->out));
		}
	}
}

static void
connect_peer(struct peer *p)
{
	struct error err = ERROR_INIT;
	int fds[2];

	if (p->fd >= 0)
		return;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	MUST(server_adopt(g.server, fds[1], &err) == 0);
	p->fd = fds[0];
}

static void
disconnect_peer(struct peer *p)
{
	close_fd(&p->fd);
	buf_consume(&p->out, buf_len(&p->out));
	turn();
	turn();
}

/* Appends a request with n bytes of data. */
static void
ask(struct peer *p, uint32_t number, size_t n)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	struct error err = ERROR_INIT;
	char id[16];

	if (g.asked + n > BYTES_MAX)
		return;
	(void)snprintf(id, sizeof(id), "%u", number);
	q.container_id = id;
	q.data.len = n;
	q.data.data = (uint8_t *)(uintptr_t)data_of(number);
	if (envelope_append_request(&p->out, 2 * number + 1, g.service.descriptor->name,
				    "WriteStdin", 0, &q.base, &err) == 0) {
		g.asked += n;
		g.sent_whole++;
	}
}

/* Appends an oversize frame. */
static void
overrun(struct peer *p, uint32_t number, size_t more)
{
	struct frame_header header = {
		.length = FRAME_PAYLOAD_MAX + 1 + (uint32_t)more,
		.stream = 2 * number + 1,
		.type = FRAME_REQUEST,
	};
	uint8_t *at;

	if (g.asked + header.length > BYTES_MAX)
		return;
	g.asked += header.length;
	at = buf_reserve(&p->out, FRAME_HEADER_SIZE + header.length);
	MUST(at);
	frame_header_encode(&header, at);
	memset(at + FRAME_HEADER_SIZE, 'x', header.length);
	buf_commit(&p->out, FRAME_HEADER_SIZE + header.length);
}

/* Sends at most n bytes in pieces of at most `piece`; limits the number of pieces. */
static void
deliver(struct peer *p, size_t n, size_t piece)
{
	unsigned int stuck = 0;

	if (n / PIECES_MAX > piece && n != SIZE_MAX)
		n = PIECES_MAX * piece;
	while (p->fd >= 0 && n > 0 && buf_len(&p->out) > 0) {
		size_t len = piece;
		ssize_t done;

		if (len > n)
			len = n;
		if (len > buf_len(&p->out))
			len = buf_len(&p->out);
		done = send(p->fd, buf_head(&p->out), len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done > 0) {
			buf_consume(&p->out, (size_t)done);
			n -= (size_t)done;
			stuck = 0;
		} else {
			/* Each turn receives something or closes the connection. */
			MUST(errno == EPIPE || errno == ECONNRESET || stuck++ < 1000);
		}
		turn();
	}
}

static void
obey(const uint8_t order[4], uint32_t number)
{
	struct peer *p = &g.peers[order[0] % CONNS];
	size_t v = (size_t)order[2] << 8 | order[3];
	static const size_t scales[] = { 1, 16, 64, 128 };

	connect_peer(p);
	switch (order[0] / CONNS % 5) {
	case 0:
		ask(p, number, v * scales[order[1] % 4] % (FRAME_PAYLOAD_MAX + 4096));
		break;
	case 1:
		deliver(p, 1 + v * scales[order[1] % 4], 1 + ((size_t)order[1] << 10));
		break;
	case 2:
		deliver(p, SIZE_MAX, 4096 + ((size_t)order[1] << 10));
		break;
	case 3:
		if (order[1] % 4 == 0)
			overrun(p, number, v * scales[order[1] / 4 % 4]);
		break;
	default:
		if (order[1] % 2 == 0)
			disconnect_peer(p);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_calm = true;

	set_up();
	g.asked = 0;
	g.sent_whole = g.handled = 0;
	for (uint32_t i = 0; i < ORDERS_MAX && size >= 4; i++, data += 4, size -= 4) {
		is_calm = is_calm && data[0] / CONNS % 5 < 3;
		obey(data, i);
	}
	for (size_t i = 0; i < CONNS; i++)
		deliver(&g.peers[i], SIZE_MAX, 256u << 10);
	for (int i = 0; i < 50 && g.handled < g.sent_whole; i++)
		turn();
	MUST(g.handled <= g.sent_whole);
	/* No frame was truncated, so every request must have arrived. */
	MUST(!is_calm || g.handled == g.sent_whole);
	for (size_t i = 0; i < CONNS; i++)
		disconnect_peer(&g.peers[i]);
	MUST(server_counts(g.server).connections == 0);
	MUST(server_counts(g.server).calls == 0 && server_counts(g.server).memory == 0);
	return 0;
}
