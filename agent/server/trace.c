/* SPDX-License-Identifier: Apache-2.0 */
/* See trace.h. Called by call.c; wired by agent/agent_main.c. */
#include "agent/server/trace.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include <linux/vm_sockets.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/json_put.h"
#include "lib/log.h"

#define SPAN_MAX 1024

struct tracer {
	struct loop *loop;
	struct sockaddr_storage address;
	socklen_t size;
	/* -1: not connected. */
	int fd;
	bool is_connected;
	struct watch *watch;
	struct timer *retry;
	struct buf out;
	uint64_t dropped;
};

static void trace_connect(struct tracer *tracer);
static void trace_on_ready(uint32_t events, void *data);
static void trace_flush(struct tracer *tracer);
static bool trace_read_parent(const char *text, struct trace_span *span, bool *is_sampled);
static bool trace_read_hex(const char *text, uint8_t *out, size_t n);
static uint64_t trace_now_ns(void);
static void trace_put_span(struct tracer *tracer, const struct trace_span *span,
			   enum error_code code);
static void trace_write_hex(char *out, const uint8_t *bytes, size_t n);
static void trace_put_time(struct json_put *w, const char *key, uint64_t ns);

struct tracer *
tracer_new(struct loop *loop, const struct sockaddr *address, socklen_t size, struct error *err)
{
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = TRACE_PORT,
	};
	struct tracer *tracer = calloc(1, sizeof(*tracer));

	if (!tracer) {
		error_nomem(err, "creating the tracer");
		return NULL;
	}
	tracer->loop = loop;
	tracer->fd = -1;
	tracer->size = address ? size : (socklen_t)sizeof(host);
	if (address)
		memcpy(&tracer->address, address, size);
	else
		memcpy(&tracer->address, &host, sizeof(host));
	buf_init(&tracer->out, TRACE_QUEUED);
	return tracer;
}

void
tracer_free(struct tracer *tracer)
{
	if (!tracer)
		return;
	timer_cancel(tracer->retry);
	loop_unwatch(tracer->watch);
	close_fd(&tracer->fd);
	buf_release(&tracer->out);
	free(tracer);
}

uint64_t
tracer_dropped(const struct tracer *tracer)
{
	return tracer->dropped;
}

static void
trace_on_retry(void *data)
{
	struct tracer *tracer = data;

	tracer->retry = NULL;
	if (buf_len(&tracer->out) > 0)
		trace_connect(tracer);
}

/* Disconnects. The collector gets whole spans only: the rest of a partly sent one is useless on the
 * next connection. */
static void
trace_hang_up(struct tracer *tracer)
{
	struct error err = ERROR_INIT;

	loop_unwatch(tracer->watch);
	tracer->watch = NULL;
	close_fd(&tracer->fd);
	tracer->is_connected = false;
	buf_consume(&tracer->out, buf_len(&tracer->out));
	if (!tracer->retry)
		tracer->retry =
			loop_timer(tracer->loop, TRACE_RETRY_MS, trace_on_retry, tracer, &err);
}

static void
trace_connect(struct tracer *tracer)
{
	struct error err = ERROR_INIT;

	tracer->fd =
		socket(tracer->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tracer->fd < 0 ||
	    (RETRY_EINTR(connect(tracer->fd, (const struct sockaddr *)&tracer->address,
				 tracer->size)) < 0 &&
	     errno != EINPROGRESS)) {
		trace_hang_up(tracer);
		return;
	}
	tracer->watch =
		loop_watch(tracer->loop, tracer->fd, EPOLLOUT, trace_on_ready, tracer, &err);
	if (!tracer->watch)
		trace_hang_up(tracer);
}

static void
trace_on_ready(uint32_t events, void *data)
{
	struct tracer *tracer = data;
	int error = 0;
	socklen_t size = sizeof(error);

	if (!tracer->is_connected) {
		if (getsockopt(tracer->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error) {
			trace_hang_up(tracer);
			return;
		}
		tracer->is_connected = true;
	}
	if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		trace_hang_up(tracer);
	else
		trace_flush(tracer);
}

/* Writes as much as the socket accepts. */
static void
trace_flush(struct tracer *tracer)
{
	while (buf_len(&tracer->out) > 0) {
		/* At most this much at a time: see SEND_MAX_VSOCK in conn.c. */
		size_t len = buf_len(&tracer->out) < 32768 ? buf_len(&tracer->out) : 32768;
		ssize_t n =
			send(tracer->fd, buf_head(&tracer->out), len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !watch_may_retry(tracer->watch, errno)) {
			trace_hang_up(tracer);
			return;
		}
		if (n < 0)
			break;
		buf_consume(&tracer->out, (size_t)n);
	}
	watch_set_events(tracer->watch,
			 buf_len(&tracer->out) > 0 ? EPOLLOUT | EPOLLRDHUP : EPOLLRDHUP);
}

/* ---- spans ---- */

void
trace_begin(struct tracer *tracer, struct trace_span *span, const char *service, const char *method,
	    const char *traceparent)
{
	bool is_sampled = true;

	if (!tracer)
		return;
	if (!trace_read_parent(traceparent, span, &is_sampled)) {
		memset(span->parent_id, 0, sizeof(span->parent_id));
		if (RETRY_EINTR(getrandom(span->trace_id, sizeof(span->trace_id), GRND_NONBLOCK)) !=
		    (ssize_t)sizeof(span->trace_id))
			return;
	}
	if (!is_sampled || RETRY_EINTR(getrandom(span->span_id, sizeof(span->span_id),
						 GRND_NONBLOCK)) != (ssize_t)sizeof(span->span_id))
		return;
	span->service = service;
	span->method = method;
	span->start_ns = trace_now_ns();
	span->is_on = true;
}

static int
trace_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	/* Upper-case digits are not allowed there. */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Parses 00-TRACEID-PARENTID-FLAGS; later versions may append more (Trace Context, 3.2). */
static bool
trace_read_parent(const char *text, struct trace_span *span, bool *is_sampled)
{
	size_t n = text ? strlen(text) : 0;
	int flags;

	if (n < 55 || trace_hex_digit(text[0]) < 0 || trace_hex_digit(text[1]) < 0 ||
	    strncmp(text, "ff", 2) == 0 || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
	    (n > 55 && (strncmp(text, "00", 2) == 0 || text[55] != '-')))
		return false;
	flags = trace_hex_digit(text[54]);
	if (flags < 0 || trace_hex_digit(text[53]) < 0 ||
	    !trace_read_hex(text + 3, span->trace_id, 16) ||
	    !trace_read_hex(text + 36, span->parent_id, 8))
		return false;
	*is_sampled = flags & 1;
	return true;
}

/* Decodes 2n hexadecimal digits into n bytes. Returns false if they are invalid or all zero. */
static bool
trace_read_hex(const char *text, uint8_t *out, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++) {
		int high = trace_hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : trace_hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		any |= out[i];
	}
	return any != 0;
}

static uint64_t
trace_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
trace_end(struct tracer *tracer, struct trace_span *span, enum error_code code)
{
	if (!tracer || !span->is_on)
		return;
	span->is_on = false;
	trace_put_span(tracer, span, code);
}

/* Queues a span that has ended. */
static void
trace_put_span(struct tracer *tracer, const struct trace_span *span, enum error_code code)
{
	char trace_id[33], span_id[17], parent_id[17] = "", name[128], json[SPAN_MAX];
	struct json_put w = { .text = json, .size = sizeof(json) };
	static const uint8_t none[8];
	uint64_t head;

	trace_write_hex(trace_id, span->trace_id, sizeof(span->trace_id));
	trace_write_hex(span_id, span->span_id, sizeof(span->span_id));
	if (memcmp(span->parent_id, none, sizeof(none)) != 0)
		trace_write_hex(parent_id, span->parent_id, sizeof(span->parent_id));
	(void)snprintf(name, sizeof(name), "%s/%s", span->service, span->method);
	json_put_begin(&w, NULL, '{');
	json_put_text(&w, "traceId", trace_id);
	json_put_text(&w, "spanId", span_id);
	json_put_text(&w, "parentSpanId", parent_id);
	json_put_u64(&w, "flags", 1);
	json_put_text(&w, "name", name);
	json_put_text(&w, "kind", "SPAN_KIND_SERVER");
	trace_put_time(&w, "startTimeUnixNano", span->start_ns);
	trace_put_time(&w, "endTimeUnixNano", trace_now_ns());
	json_put_begin(&w, "attributes", '{');
	json_put_text(&w, "rpc.system", "ttrpc");
	json_put_text(&w, "rpc.service", span->service);
	json_put_text(&w, "rpc.method", span->method);
	json_put_u64(&w, "rpc.grpc.status_code", code);
	json_put_end(&w, '}');
	json_put_begin(&w, "status", '{');
	json_put_text(&w, "code", code == ERROR_OK ? "STATUS_CODE_OK" : "STATUS_CODE_ERROR");
	json_put_text(&w, "message", code == ERROR_OK ? "" : error_code_name(code));
	json_put_end(&w, '}');
	json_put_end(&w, '}');
	head = htobe64((uint64_t)w.len);
	if (w.has_failed || TRACE_QUEUED - buf_len(&tracer->out) < sizeof(head) + w.len ||
	    buf_append(&tracer->out, &head, sizeof(head)) < 0) {
		tracer->dropped++;
		return;
	}
	if (buf_append(&tracer->out, json, w.len) < 0) {
		/* A length without its span would shift everything that follows. */
		tracer->dropped++;
		if (tracer->fd >= 0)
			trace_hang_up(tracer);
		else
			buf_consume(&tracer->out, buf_len(&tracer->out));
		return;
	}
	if (tracer->is_connected)
		trace_flush(tracer);
	else if (tracer->fd < 0 && !tracer->retry)
		trace_connect(tracer);
}

static void
trace_write_hex(char *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Writes a time. OTLP writes 64-bit numbers as text. */
static void
trace_put_time(struct json_put *w, const char *key, uint64_t ns)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)ns);
	json_put_text(w, key, text);
}
