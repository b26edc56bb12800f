/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made frames; see raw.h. For the tests of this directory only. */
#include "tests/rpc/raw.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/envelope.h"
#include "ttrpc.pb-c.h"

#define SEND_MS 10000

int
raw_open(struct raw *r, const char *address, struct error *err)
{
	struct address parsed;

	frame_reader_init(&r->reader);
	r->off = r->len = 0;
	r->fd = -1;
	if (address_parse(address, &parsed, err) < 0)
		return -1;
	r->fd = address_dial(&parsed, SEND_MS, err);
	return r->fd < 0 ? -1 : 0;
}

void
raw_close(struct raw *r)
{
	if (r->fd < 0)
		return;
	close_fd(&r->fd);
	frame_reader_release(&r->reader);
}

static bool
wait_for(const struct raw *r, short events, int timeout_ms)
{
	struct pollfd p = { .fd = r->fd, .events = events };

	return poll(&p, 1, timeout_ms) > 0;
}

bool
raw_send(struct raw *r, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		ssize_t done = send(r->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && errno == EAGAIN && wait_for(r, POLLOUT, SEND_MS))
			continue;
		if (done < 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

bool
raw_flush(struct raw *r, struct buf *out)
{
	while (buf_len(out) > 0) {
		ssize_t n = send(r->fd, buf_head(out), buf_len(out), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN;
		buf_consume(out, (size_t)n);
	}
	return true;
}

static void
decode(const struct frame_reader *reader, struct raw_reply *out)
{
	Ttrpc__Response *response = ttrpc__response__unpack(NULL, buf_len(&reader->payload),
							    buf_head(&reader->payload));

	out->stream = reader->header.stream;
	out->type = reader->header.type;
	out->status = ERROR_INIT;
	out->size = 0;
	if (!response) {
		error_set(&out->status, ERROR_DATA_LOSS, "a reply that does not decode");
		return;
	}
	out->size = response->payload.len;
	if (response->status && response->status->code)
		error_set(&out->status, (enum error_code)response->status->code, "%s",
			  response->status->message);
	ttrpc__response__free_unpacked(response, NULL);
}

/* Returns 1 for a reply, 0 if more bytes are needed, -1 for a protocol violation. */
static int
take(struct raw *r, struct raw_reply *out)
{
	size_t used;

	switch (frame_reader_feed(&r->reader, r->in + r->off, r->len - r->off, &used)) {
	case FRAME_MORE:
		r->off = r->len = 0;
		return 0;
	case FRAME_READY:
		r->off += used;
		decode(&r->reader, out);
		return 1;
	default:
		return -1;
	}
}

int
raw_next(struct raw *r, int timeout_ms, struct raw_reply *out)
{
	uint64_t end = deadline_of_timeout(timeout_ms);

	for (;;) {
		int found = r->off < r->len ? take(r, out) : 0;
		ssize_t n;

		if (found)
			return found;
		if (r->fd < 0)
			return -1;
		n = recv(r->fd, r->in, sizeof(r->in), MSG_DONTWAIT);
		if (n > 0) {
			r->off = 0;
			r->len = (size_t)n;
			continue;
		}
		if (n == 0 || errno != EAGAIN)
			return -1;
		if (deadline_is_over(end) || !wait_for(r, POLLIN, deadline_left_ms(end)))
			return 0;
	}
}

bool
raw_wait(struct raw *r, uint32_t stream, int timeout_ms, struct raw_reply *out)
{
	uint64_t end = deadline_of_timeout(timeout_ms);

	while (!deadline_is_over(end)) {
		if (raw_next(r, deadline_left_ms(end), out) <= 0)
			break;
		if (out->stream == stream)
			return true;
	}
	return false;
}

bool
raw_is_closed(struct raw *r, int timeout_ms)
{
	uint64_t end = deadline_of_timeout(timeout_ms);
	struct raw_reply reply;

	while (!deadline_is_over(end)) {
		int n = raw_next(r, deadline_left_ms(end), &reply);

		if (n <= 0)
			return n < 0;
	}
	return false;
}

static void
out_of_memory(void)
{
	printf("Bail out! no memory for a frame\n");
	exit(1);
}

void
raw_request(struct buf *out, uint32_t stream, const char *method, int64_t timeout_ns,
	    const void *message)
{
	bool health = strcmp(method, "Check") == 0 || strcmp(method, "Version") == 0;
	struct error err = ERROR_INIT;

	if (envelope_append_request(out, stream,
				    health ? grpc__health__descriptor.name
					   : grpc__agent_service__descriptor.name,
				    method, timeout_ns, message, &err) < 0)
		out_of_memory();
}

void
raw_frame(struct buf *out, uint32_t stream, uint8_t type, const void *payload, size_t n)
{
	struct frame_header header = { .length = (uint32_t)n, .stream = stream, .type = type };
	uint8_t head[FRAME_HEADER_SIZE];

	frame_header_encode(&header, head);
	if (buf_append(out, head, sizeof(head)) < 0 || (n > 0 && buf_append(out, payload, n) < 0))
		out_of_memory();
}

bool
raw_check(struct raw *r, uint32_t stream)
{
	Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
	struct buf out;
	bool ok;

	buf_init(&out, 4096);
	raw_request(&out, stream, "Check", 0, &q);
	ok = raw_send(r, buf_head(&out), buf_len(&out));
	buf_release(&out);
	return ok;
}

bool
raw_has_handler(struct raw *r, uint32_t stream, const char *service, const char *method)
{
	char request[256];
	int n = snprintf(request, sizeof(request), "%c%c%s%c%c%s%c%c%c%c", 0x0a,
			 (int)strlen(service), service, 0x12, (int)strlen(method), method, 0x1a, 2,
			 1, 1);
	struct raw_reply reply = { 0 };
	struct buf out;

	/* field number 0 */
	request[n - 2] = 0;
	buf_init(&out, sizeof(request) + FRAME_HEADER_SIZE);
	raw_frame(&out, stream, FRAME_REQUEST, request, (size_t)n);
	n = raw_send(r, buf_head(&out), buf_len(&out)) && raw_wait(r, stream, 10000, &reply);
	buf_release(&out);
	return n && reply.status.code != ERROR_UNIMPLEMENTED;
}
