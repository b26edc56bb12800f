/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a replay. Requests are packed from the protocol's own messages and not by
 * lib/ttrpc/client.h, which does not send the metadata, timeouts and lengths of the recorded
 * clients.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/address.h"
#include "tests/transcript/replay.h"
#include "ttrpc.pb-c.h"

static struct conn *
conn_find(struct replay *r, unsigned int number)
{
	for (size_t i = 0; i < CONN_MAX; i++)
		if (r->conns[i].number == number)
			return &r->conns[i];
	return NULL;
}

void
wire_open(struct replay *r, unsigned int number)
{
	struct conn *c = conn_find(r, 0);
	struct error err = ERROR_INIT;
	struct address address;

	if (!c || conn_find(r, number))
		die(r, "connection %u is open already, or too many are", number);
	if (address_parse(r->address, &address, &err) < 0)
		die(r, "%s", err.msg);
	*c = (struct conn){ .number = number, .next_stream = 1 };
	c->fd = address_dial(&address, ANSWER_MS, &err);
	if (c->fd < 0)
		die(r, "%s", err.msg);
	frame_reader_init(&c->reader);
}

/* Ends all pending calls. */
static void
conn_end(struct replay *r, struct conn *c, const char *why)
{
	for (size_t i = 0; i <= PENDING_MAX; i++) {
		struct pending *p = i < PENDING_MAX ? &r->pending[i] : &r->last;

		if (!p->request || p->is_answered || p->manner.conn != c->number)
			continue;
		p->is_answered = true;
		error_set(&p->failure, ERROR_UNAVAILABLE, "%s", why);
	}
	frame_reader_release(&c->reader);
	close_fd(&c->fd);
	*c = (struct conn){ 0 };
}

void
wire_close(struct replay *r, unsigned int number)
{
	struct conn *c = conn_find(r, number);

	/* The agent may have closed it first. */
	if (c)
		conn_end(r, c, "the transcript closes the connection");
}

/* ---- requests ---- */

static uint8_t *
pack(const ProtobufCMessage *message, size_t *n)
{
	uint8_t *data;

	*n = protobuf_c_message_get_packed_size(message);
	data = malloc(*n + 1);
	if (!data)
		abort();
	(void)protobuf_c_message_pack(message, data);
	return data;
}

static void
conn_write(struct replay *r, struct conn *c, const uint8_t *data, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			die(r, "send: %s", strerror(errno));
		if (sent < 0) {
			struct pollfd p = { .fd = c->fd, .events = POLLOUT };

			(void)poll(&p, 1, 100);
			continue;
		}
		data += sent;
		n -= (size_t)sent;
	}
}

void
wire_send(struct replay *r, struct pending *p)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	Ttrpc__KeyValue pairs[METADATA_MAX], *list[METADATA_MAX];
	struct manner *m = &p->manner;
	struct conn *c = conn_find(r, m->conn);
	uint8_t header[FRAME_HEADER_SIZE];
	auto_free uint8_t *payload = NULL;
	auto_free uint8_t *body = NULL;
	struct frame_header h;
	size_t n;

	if (!c && m->conn == 1) {
		wire_open(r, 1);
		c = conn_find(r, 1);
	}
	if (!c)
		die(r, "%s: connection %u is not open", p->method->name, m->conn);
	payload = pack(p->request, &request.payload.len);
	request.payload.data = payload;
	request.service = (char *)(uintptr_t)p->service->name;
	request.method = (char *)(uintptr_t)p->method->name;
	request.timeout_nano = m->timeout_ns;
	for (size_t i = 0; i < m->n_metadata; i++) {
		ttrpc__key_value__init(&pairs[i]);
		pairs[i].key = m->key[i];
		pairs[i].value = m->value[i];
		list[i] = &pairs[i];
	}
	request.metadata = list;
	request.n_metadata = m->n_metadata;
	body = pack(&request.base, &n);
	if (m->length && n != m->length)
		die(r, "%s: a frame of %zu bytes, the client's had %u", p->method->name, n,
		    m->length);
	p->stream = c->next_stream;
	c->next_stream += 2;
	h = (struct frame_header){ (uint32_t)n, p->stream, FRAME_REQUEST, 0 };
	frame_header_encode(&h, header);
	conn_write(r, c, header, sizeof(header));
	conn_write(r, c, body, n);
}

/* ---- answers ---- */

static void
take_data(struct pending *p, const ProtobufCBinaryData *data)
{
	char *grown = realloc(p->data, p->len + data->len + 1);

	if (!grown)
		abort();
	memcpy(grown + p->len, data->data, data->len);
	p->data = grown;
	p->len += data->len;
	p->data[p->len] = '\0';
}

static void
take_reply(struct replay *r, struct pending *p, ProtobufCMessage *reply)
{
	const Grpc__ReadStreamResponse *read = (const Grpc__ReadStreamResponse *)reply;

	if (!p->is_read || read->data.len == 0) {
		p->is_answered = true;
		p->reply = reply;
		return;
	}
	take_data(p, &read->data);
	if (p->is_last) {
		p->is_answered = true;
		p->reply = reply;
		return;
	}
	protobuf_c_message_free_unpacked(reply, NULL);
	wire_send(r, p);
}

static void
take_response(struct replay *r, const struct conn *c)
{
	const struct buf *body = &c->reader.payload;
	struct pending *p = NULL;
	Ttrpc__Response *response;
	ProtobufCMessage *reply;

	for (size_t i = 0; i <= PENDING_MAX && !p; i++) {
		struct pending *at = i < PENDING_MAX ? &r->pending[i] : &r->last;

		if (at->request && !at->is_answered && at->manner.conn == c->number &&
		    at->stream == c->reader.header.stream)
			p = at;
	}
	/* a call without further lines in the transcript */
	if (!p)
		return;
	response = ttrpc__response__unpack(NULL, buf_len(body), buf_head(body));
	if (c->reader.header.type != FRAME_RESPONSE || !response || !response->status)
		die(r, "%s: an invalid response", p->method->name);
	if (response->status->code != 0) {
		p->is_answered = true;
		error_set(&p->failure, (enum error_code)response->status->code, "%s",
			  response->status->message);
	} else {
		reply = protobuf_c_message_unpack(p->method->output, NULL, response->payload.len,
						  response->payload.data);
		if (!reply)
			die(r, "%s: an invalid reply", p->method->name);
		take_reply(r, p, reply);
	}
	ttrpc__response__free_unpacked(response, NULL);
}

/* Performs one read. */
static void
conn_read(struct replay *r, struct conn *c)
{
	static uint8_t in[65536];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_end(r, c, "the agent closed the connection");
		return;
	}
	for (size_t at = 0, used;; at += used) {
		enum frame_event event =
			frame_reader_feed(&c->reader, in + at, (size_t)n - at, &used);

		if (event == FRAME_MORE)
			return;
		if (event != FRAME_READY)
			die(r, "the agent sent an invalid frame");
		take_response(r, c);
	}
}

bool
wire_poll(struct replay *r, int timeout_ms)
{
	struct pollfd fds[CONN_MAX];
	struct conn *of[CONN_MAX];
	nfds_t n = 0;

	for (size_t i = 0; i < CONN_MAX; i++) {
		if (!r->conns[i].number)
			continue;
		of[n] = &r->conns[i];
		fds[n++] = (struct pollfd){ .fd = r->conns[i].fd, .events = POLLIN };
	}
	if (n == 0 || poll(fds, n, timeout_ms) <= 0)
		return false;
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].revents)
			conn_read(r, of[i]);
	return true;
}

void
wire_wait(struct replay *r, const struct pending *p)
{
	while (!p->is_answered && !p->is_skipped)
		if (!wire_poll(r, ANSWER_MS))
			die(r, "%s is not answered", p->method->name);
}
