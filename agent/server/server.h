/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ttrpc server: listeners, connections and their limits. It is handed the services by
 * agent/main.c and knows no method by name. Everything runs on the loop; nothing blocks.
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

/* Asked once for every call, before its handler: 0, or -1 and the Status. *blank (false before):
 * run the handler, but send an empty reply. */
typedef int server_gate_fn(struct agent *agent, const struct rpc_method *method,
			   const ProtobufCMessage *request, bool *blank, struct error *err);

struct server_spec {
	/* for call_agent(); not looked into */
	struct agent *agent;
	const struct server_service *services;
	size_t n_services;
	/* NULL: everything may pass */
	server_gate_fn *gate;
	/* NULL: calls leave no spans */
	struct tracer *tracer;
};

/* Everything in spec must outlive the server. Listens nowhere yet. */
struct server *server_new(struct loop *loop, const struct server_spec *spec, struct error *err);

/* Cancels all calls and closes everything. NULL is allowed. */
void server_free(struct server *server);

/* vsock://CID:PORT (CID -1: any), unix://PATH, unix://@ABSTRACT or tcp://IP:PORT (IPv6 in
 * brackets; no names). May be called more than once. On vsock only the host (CID 2) is served. */
int server_listen(struct server *server, const char *address, struct error *err);

/* Serves a connected stream socket, which becomes the server's (also when this fails). */
int server_adopt(struct server *server, int fd, struct error *err);

/* The orderly end: no new connections or calls (UNAVAILABLE) from now on; calls `done` once,
 * never from inside, when every reply that was queued has been written and the clients have
 * closed their connections, at the latest after a second for the one and a fifth of a second for
 * the other. Parked calls are not waited for. A second call changes nothing. */
void server_drain(struct server *server, void (*done)(void *data), void *data);

struct server_counts {
	/* now */
	unsigned int connections;
	/* now */
	unsigned int calls;
	/* bytes that requests take now */
	size_t memory;
	/* calls answered since start */
	uint64_t served;
	/* vsock peers that were not the host: closed unread */
	uint64_t strangers;
	/* connections that never completed a call, closed for a new one */
	uint64_t evicted;
};

struct server_counts server_counts(const struct server *server);
