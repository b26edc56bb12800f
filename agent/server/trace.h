/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of calls, for a collector on the host. The trace context of a request (W3C, in its
 * metadata) is adopted, and each call becomes a span when it has ended. Spans are sent over one
 * connection that the agent makes: 8 bytes of length, big-endian, then the span as JSON with the
 * names of OTLP. A collector that does not listen or read delays nothing: spans that do not fit the
 * queue are dropped and counted. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/loop.h"

/* On vsock, at the host. */
#define TRACE_PORT 10240
/* Bytes of queued spans. */
#define TRACE_QUEUED (256 << 10)
/* Time between attempts to connect while spans are queued. */
#define TRACE_RETRY_MS 5000

struct tracer;

/* The span of a call, in the call's memory. All zero: none. */
struct trace_span {
	bool is_on;
	/* parent_id all zero: the root span. */
	uint8_t trace_id[16], span_id[8], parent_id[8];
	/* Since 1970. */
	uint64_t start_ns;
	const char *service, *method;
};

/* Sends spans to this address (NULL: the host's vsock port). Returns NULL and err on failure. */
struct tracer *tracer_new(struct loop *loop, const struct sockaddr *address, socklen_t size,
			  struct error *err);

/* Frees tracer (may be NULL); queued spans are lost. */
void tracer_free(struct tracer *tracer);

/* Begins a span; service and method must outlive it. traceparent: of the request; NULL or invalid:
 * the span starts a trace. Makes no span if the host does not want this trace sampled. tracer NULL:
 * does nothing. */
void trace_begin(struct tracer *tracer, struct trace_span *span, const char *service,
		 const char *method, const char *traceparent);

/* Ends the span with the call's status and queues it. */
void trace_end(struct tracer *tracer, struct trace_span *span, enum error_code code);

/* Returns the number of spans that were dropped. */
uint64_t tracer_dropped(const struct tracer *tracer);
