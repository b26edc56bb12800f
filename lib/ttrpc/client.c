/* SPDX-License-Identifier: Apache-2.0 */
/* Calls over one non-blocking stream socket. Data from the server is checked like that of any
 * peer. */
#include "lib/ttrpc/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/pbcheck.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "ttrpc.pb-c.h"

/* Maximum size of unsent requests. */
#define OUT_MAX   (64u << 20)
#define READ_SIZE 65536
#define N_BUCKETS 1024

struct pending {
	/* Next in its bucket. */
	struct pending *next;
	uint32_t id;
	const ProtobufCMessageDescriptor *output;
	/* NULL for calls of ttrpc_client_wait(). */
	ttrpc_reply_fn *fn;
	void *data;
	bool done;
	/* Set when the call is done; NULL on failure. */
	ProtobufCMessage *reply;
	struct error failure;
};

struct ttrpc_client {
	int fd;
	/* Odd and increasing. */
	uint32_t next_id;
	unsigned n_pending;
	bool broken;
	/* Set once the connection is broken. */
	struct error why;
	struct frame_reader reader;
	struct buf out;
	struct pending *buckets[N_BUCKETS];
	uint8_t chunk[READ_SIZE];
};

static int client_flush(struct ttrpc_client *client, struct error *err);
static int client_set_broken(struct ttrpc_client *client, struct error *err);
static int client_received(struct ttrpc_client *client, size_t n, struct error *err);
static void client_frame_ready(struct ttrpc_client *client);
static ProtobufCMessage *client_open_response(const struct pending *p, const struct buf *payload,
					      struct error *failure);

static struct pending **
client_pending_find(struct ttrpc_client *client, uint32_t id)
{
	struct pending **p = &client->buckets[id / 2 % N_BUCKETS];

	while (*p && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

static void
client_pending_free(struct pending *p)
{
	if (p->reply)
		protobuf_c_message_free_unpacked(p->reply, NULL);
	free(p);
}

/* Completes a call. The reply is then owned by the callback or the waiter. */
static void
client_settle(struct ttrpc_client *client, struct pending **at, ProtobufCMessage *reply,
	      const struct error *failure)
{
	struct pending *p = *at;

	client->n_pending--;
	if (!p->fn) {
		p->done = true;
		p->reply = reply;
		if (!reply)
			p->failure = *failure;
		return;
	}
	*at = p->next;
	p->fn(p->data, reply, reply ? NULL : failure);
	free(p);
}

struct ttrpc_client *
ttrpc_client_new(int fd, struct error *err)
{
	struct ttrpc_client *client;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		error_sys(err, "failed to make the connection non-blocking");
		close_fd(&fd);
		return NULL;
	}
	client = calloc(1, sizeof(*client));
	if (!client) {
		error_nomem(err, "creating a client");
		close_fd(&fd);
		return NULL;
	}
	client->fd = fd;
	client->next_id = 1;
	frame_reader_init(&client->reader);
	buf_init(&client->out, OUT_MAX);
	return client;
}

struct ttrpc_client *
ttrpc_client_dial(const char *text, int timeout_ms, struct error *err)
{
	struct address address;
	int fd;

	if (address_parse(text, &address, err) < 0)
		return NULL;
	fd = address_dial(&address, timeout_ms, err);
	return fd < 0 ? NULL : ttrpc_client_new(fd, err);
}

void
ttrpc_client_free(struct ttrpc_client *client)
{
	if (!client)
		return;
	for (size_t i = 0; i < N_BUCKETS; i++) {
		while (client->buckets[i]) {
			struct pending *p = client->buckets[i];

			client->buckets[i] = p->next;
			client_pending_free(p);
		}
	}
	frame_reader_release(&client->reader);
	buf_release(&client->out);
	close_fd(&client->fd);
	free(client);
}

uint32_t
ttrpc_client_start(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
		   const char *name, const ProtobufCMessage *request, int64_t timeout_ns,
		   ttrpc_reply_fn *fn, void *data, struct error *err)
{
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(service, name);
	struct pending *p;

	if (client->broken) {
		*err = client->why;
		return 0;
	}
	if (!method || method->input != request->descriptor) {
		error_set(err, ERROR_INVALID_ARGUMENT, "%s/%s: no method with a %s", service->name,
			  name, request->descriptor->name);
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		error_nomem(err, "starting a call");
		return 0;
	}
	*p = (struct pending){
		.id = client->next_id, .output = method->output, .fn = fn, .data = data
	};
	if (envelope_append_request(&client->out, p->id, service->name, name, timeout_ns, request,
				    err) < 0) {
		free(p);
		return 0;
	}
	client->next_id += 2;
	client->n_pending++;
	p->next = client->buckets[p->id / 2 % N_BUCKETS];
	client->buckets[p->id / 2 % N_BUCKETS] = p;
	/* The next wait finds a failure to send again, and fails all calls. */
	(void)client_flush(client, &(struct error){ 0 });
	return p->id;
}

/* Writes as much as the socket accepts. */
static int
client_flush(struct ttrpc_client *client, struct error *err)
{
	while (buf_len(&client->out) > 0) {
		ssize_t n = send(client->fd, buf_head(&client->out), buf_len(&client->out),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return error_sys_code(err, ERROR_UNAVAILABLE, "failed to send to server");
		buf_consume(&client->out, (size_t)n);
	}
	return 0;
}

int
ttrpc_client_handle(struct ttrpc_client *client, struct error *err)
{
	if (client->broken || client_flush(client, err) < 0)
		return client_set_broken(client, err);
	for (;;) {
		ssize_t n = recv(client->fd, client->chunk, sizeof(client->chunk), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			error_sys_code(err, ERROR_UNAVAILABLE, "failed to receive from server");
		if (n == 0)
			error_set(err, ERROR_UNAVAILABLE, "server closed the connection");
		if (n <= 0 || client_received(client, (size_t)n, err) < 0)
			return client_set_broken(client, err);
		if ((size_t)n < sizeof(client->chunk))
			return 0;
	}
}

/* Returns the first unanswered call of a bucket. */
static struct pending **
client_first_open(struct pending **bucket)
{
	while (*bucket && (*bucket)->done)
		bucket = &(*bucket)->next;
	return bucket;
}

/* Fails all calls because the connection has ended. Callbacks can no longer start calls. */
static int
client_set_broken(struct ttrpc_client *client, struct error *err)
{
	if (!client->broken) {
		client->broken = true;
		client->why = *err;
		for (size_t i = 0; i < N_BUCKETS; i++) {
			struct pending **at;

			/* Starts over each time, because a callback may have forgotten other
			 * calls. */
			while (*(at = client_first_open(&client->buckets[i])))
				client_settle(client, at, NULL, &client->why);
		}
	}
	*err = client->why;
	return -1;
}

static void
client_frame_refused(struct ttrpc_client *client)
{
	struct pending **at = client_pending_find(client, client->reader.header.stream);
	struct error failure = ERROR_INIT;

	error_set(&failure, ERROR_RESOURCE_EXHAUSTED, "response of %u bytes exceeds the limit",
		  client->reader.header.length);
	if (*at && !(*at)->done)
		client_settle(client, at, NULL, &failure);
}

static int
client_received(struct ttrpc_client *client, size_t n, struct error *err)
{
	for (size_t at = 0;;) {
		size_t used;

		switch (frame_reader_feed(&client->reader, client->chunk + at, n - at, &used)) {
		case FRAME_MORE:
			return 0;
		case FRAME_READY:
			client_frame_ready(client);
			break;
		case FRAME_OVERSIZE:
			client_frame_refused(client);
			break;
		case FRAME_CLOSE:
			return error_set(err, ERROR_UNAVAILABLE, "server sent a frame of %u bytes",
					 client->reader.header.length);
		case FRAME_NOMEM:
			return error_nomem(err, "receiving a response");
		}
		at += used;
	}
}

static void
client_frame_ready(struct ttrpc_client *client)
{
	struct pending **at = client_pending_find(client, client->reader.header.stream);
	struct error failure = ERROR_INIT;
	ProtobufCMessage *reply;

	/* An answer to a forgotten call, or an unexpected frame. */
	if (client->reader.header.type != FRAME_RESPONSE || !*at || (*at)->done)
		return;
	reply = client_open_response(*at, &client->reader.payload, &failure);
	client_settle(client, at, reply, &failure);
}

/* Puts the text of a Status on one line: kata-agent's has a line for each cause, and the stack. */
static void
client_fold(const char *text, char *out, size_t size)
{
	static const char stack[] = "Stack backtrace:", causes[] = "Caused by:";
	size_t n = 0;

	while (*text && n + 3 < size) {
		if (*text != '\n') {
			out[n++] = *text++;
			continue;
		}
		text += strspn(text, "\n ");
		if (strncmp(text, stack, strlen(stack)) == 0)
			break;
		if (strncmp(text, causes, strlen(causes)) == 0) {
			text += strlen(causes);
			text += strspn(text, "\n ");
		}
		if (n && *text) {
			out[n++] = ':';
			out[n++] = ' ';
		}
	}
	out[n] = '\0';
}

/* Returns the reply in the payload of a response, or NULL and the failure in it. */
static ProtobufCMessage *
client_open_response(const struct pending *p, const struct buf *payload, struct error *failure)
{
	const struct pbcheck_limits envelope = PBCHECK_LIMITS_ENVELOPE;
	const struct pbcheck_limits message = PBCHECK_LIMITS_MESSAGE;
	ProtobufCMessage *reply = NULL;
	Ttrpc__Response *response =
		(Ttrpc__Response *)pbcheck_unpack(&ttrpc__response__descriptor, buf_head(payload),
						  buf_len(payload), &envelope, NULL, failure);

	if (!response) {
		error_wrap(failure, "invalid response");
		failure->code = ERROR_INTERNAL;
		return NULL;
	}
	if (response->status && response->status->code != 0) {
		char text[ERROR_MSG_MAX];

		client_fold(response->status->message, text, sizeof(text));
		error_set(failure, (enum error_code)response->status->code, "%s", text);
	} else {
		reply = pbcheck_unpack(p->output, response->payload.data, response->payload.len,
				       &message, NULL, failure);
		if (!reply) {
			error_wrap(failure, "invalid reply");
			failure->code = ERROR_INTERNAL;
		}
	}
	ttrpc__response__free_unpacked(response, NULL);
	return reply;
}

int
ttrpc_client_poll(struct ttrpc_client *client, int timeout_ms, struct error *err)
{
	struct pollfd pfd = { .fd = client->fd, .events = ttrpc_client_events(client) };
	int n = client->broken ? 1 : poll(&pfd, 1, timeout_ms);

	if (n < 0 && errno != EINTR)
		return error_sys(err, "failed to wait for the server");
	if (n <= 0)
		return 0;
	return ttrpc_client_handle(client, err) < 0 ? -1 : 1;
}

int
ttrpc_client_wait(struct ttrpc_client *client, uint32_t id, int timeout_ms,
		  ProtobufCMessage **reply, struct error *err)
{
	uint64_t deadline = deadline_of_timeout(timeout_ms);

	for (bool last = false;; last = deadline_is_over(deadline)) {
		struct pending **at = client_pending_find(client, id), *p = *at;

		if (!p || p->fn)
			return error_set(err, ERROR_INVALID_ARGUMENT, "no call %u to wait for", id);
		if (p->done) {
			int rc = p->reply ? 0 : -1;

			*at = p->next;
			if (rc < 0)
				*err = p->failure;
			else if (reply)
				*reply = steal_ptr(&p->reply);
			client_pending_free(p);
			return rc;
		}
		if (last)
			return error_set(err, ERROR_DEADLINE_EXCEEDED, "timed out after %d ms",
					 timeout_ms);
		/* The failure of the connection is now that of this call, too. */
		(void)ttrpc_client_poll(client, deadline_left_ms(deadline), err);
	}
}

int
ttrpc_client_call(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
		  const char *method, const ProtobufCMessage *request, int timeout_ms,
		  ProtobufCMessage **reply, struct error *err)
{
	int64_t timeout_ns = timeout_ms < 0 ? 0 : timeout_ms * (int64_t)NS_PER_MS;
	uint32_t id =
		ttrpc_client_start(client, service, method, request, timeout_ns, NULL, NULL, err);
	int rc = id ? ttrpc_client_wait(client, id, timeout_ms, reply, err) : -1;

	if (rc < 0 && id)
		ttrpc_client_forget(client, id);
	return rc;
}

void
ttrpc_client_forget(struct ttrpc_client *client, uint32_t id)
{
	struct pending **at = client_pending_find(client, id), *p = *at;

	if (!p)
		return;
	if (!p->done)
		client->n_pending--;
	*at = p->next;
	client_pending_free(p);
}

int
ttrpc_client_fd(const struct ttrpc_client *client)
{
	return client->fd;
}

short
ttrpc_client_events(const struct ttrpc_client *client)
{
	return buf_len(&client->out) > 0 ? POLLIN | POLLOUT : POLLIN;
}

unsigned
ttrpc_client_n_pending(const struct ttrpc_client *client)
{
	return client->n_pending;
}

bool
ttrpc_client_is_broken(const struct ttrpc_client *client)
{
	return client->broken;
}
