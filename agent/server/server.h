/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ttrpc server: listeners, connections and their limits. agent/agent_main.c passes in the
 * services; the server knows no method by name. Everything runs on the loop; nothing blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/server/call.h"
#include "lib/error.h"
#include "lib/loop.h"

struct server;
struct tracer;

struct server_service {
	const ProtobufCServiceDescriptor *descriptor;
	/* One for each method of the descriptor, in its order; NULL: known, but not implemented. */
	const struct rpc_method *const *methods;
};

/* Called once for every call, before its handler. Returns 0, or -1 and the Status. *blank (false
 * before): run the handler, but send an empty reply. */
typedef int server_gate_fn(struct agent *agent, const struct rpc_method *method,
			   const ProtobufCMessage *request, bool *blank, struct error *err);

struct server_spec {
	/* For call_agent(); opaque to the server. */
	struct agent *agent;
	const struct server_service *services;
	size_t n_services;
	/* NULL: every call is allowed. */
	server_gate_fn *gate;
	/* NULL: calls produce no spans. */
	struct tracer *tracer;
};

/* Creates a server that does not listen yet. Everything in spec must outlive it. */
struct server *server_new(struct loop *loop, const struct server_spec *spec, struct error *err);

/* Cancels all calls, closes everything and frees server (may be NULL). */
void server_free(struct server *server);

/* Listens on vsock://CID:PORT (CID -1: any), unix://PATH, unix://@ABSTRACT or tcp://IP:PORT
 * (IPv6 in brackets; no names). May be called more than once. On vsock only the host (CID 2) is
 * served. */
int server_listen(struct server *server, const char *address, struct error *err);

/* Serves a connected stream socket and takes ownership of it, also on failure. */
int server_adopt(struct server *server, int fd, struct error *err);

/* Shuts down in order: refuses new connections and calls (UNAVAILABLE) from now on. Calls `done`
 * once, never from inside, when all queued replies are written and the clients have closed their
 * connections, at the latest after 1 s and 200 ms respectively. Does not wait for parked calls. A
 * second call has no effect. */
void server_drain(struct server *server, void (*done)(void *data), void *data);

struct server_counts {
	/* Open now. */
	unsigned int connections;
	/* In flight now. */
	unsigned int calls;
	/* Bytes used by requests now. */
	size_t memory;
	/* Calls answered since start. */
	uint64_t served;
	/* Connections from vsock peers other than the host: closed unread. */
	uint64_t strangers;
	/* Connections that never completed a call, closed in favour of a new one. */
	uint64_t evicted;
};

struct server_counts server_counts(const struct server *server);
