/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of calls, for a collector on the host: what a host says of the trace that a call belongs to
 * (W3C trace context, in the request's metadata) is taken over, and each call becomes a span when
 * it has ended. Sent over one connection that the agent makes: 8 bytes of length, big-endian, then
 * the span as JSON with the names of OTLP. Nobody who does not listen, or does not read, holds
 * anything up: what there is no room for is dropped and counted. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/loop.h"

/* vsock, on the host */
#define TRACE_PORT 10240
/* bytes of spans that wait */
#define TRACE_QUEUED (256 << 10)
/* between two attempts to connect, while something waits */
#define TRACE_RETRY_MS 5000

struct tracer;

/* A call's span, in the call's memory. All zero: none. */
struct trace_span {
	bool is_on;
	/* parent all zero: it is the root */
	uint8_t trace_id[16], span_id[8], parent_id[8];
	/* since 1970 */
	uint64_t start_ns;
	const char *service, *method;
};

/* Spans go to this address (the host's vsock port if it is NULL). NULL and err. */
struct tracer *tracer_new(struct loop *loop, const struct sockaddr *address, socklen_t size,
			  struct error *err);

/* What waits is lost. NULL is allowed. */
void tracer_free(struct tracer *tracer);

/* Begins a span; service and method must outlive it. traceparent: of the request, NULL or
 * nonsense: a trace of its own. A host that does not want this trace sampled gets no span.
 * tracer NULL: none. */
void trace_begin(struct tracer *tracer, struct trace_span *span, const char *service,
		 const char *method, const char *traceparent);

/* Ends it with the call's status and queues it. */
void trace_end(struct tracer *tracer, struct trace_span *span, enum error_code code);

/* Spans that there was no room for. */
uint64_t tracer_dropped(const struct tracer *tracer);
