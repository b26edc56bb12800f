/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with fake handlers on a loop of its own, and clients on socket pairs, all in one
 * thread: a client never blocks, it lets the loop run until it has what it waits for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/server/memory.h"
#include "agent/server/server_internal.h"
#include "lib/buf.h"

#define BENCH_PARKED_MAX 8192
#define BENCH_KEPT_MAX   32

struct bench {
	struct loop *loop;
	struct server *server;
	struct server_spec spec;
	struct server_service services[2];
	const struct rpc_method *agent[64], *health[8];
	/* WaitProcess parks here, in the order of arrival. */
	struct call *parked[BENCH_PARKED_MAX];
	struct bench_wait {
		struct pending pending;
		struct bench *bench;
	} waits[BENCH_PARKED_MAX];
	size_t n_parked, n_cancelled;
	/* number of bytes that ReadStdout replies */
	size_t read_size;
	/* the gate's word */
	bool is_blank;
	/* not 0: ReadStdout reserves that much in the queue, and fills in read_size bytes */
	size_t read_room;
	/* the data that parked calls of WriteStdin have kept, from `written` on */
	const uint8_t *kept[BENCH_KEPT_MAX];
	size_t n_kept, written;
	struct call *writes[BENCH_KEPT_MAX];
};

struct client {
	struct bench *bench;
	int fd;
	struct frame_reader reader;
	uint8_t in[65536];
	size_t n_in, at;
	bool is_closed;
};

struct reply {
	uint32_t stream;
	/* the code of the status */
	int code;
	char message[512];
	/* its length */
	size_t payload;
};

void bench_init(struct bench *b);
void bench_release(struct bench *b);

void client_init(struct client *c, struct bench *b);
void client_release(struct client *c);

/* Sends all of it, running the loop as needed; false if the server closed the connection first. */
bool client_send(struct client *c, const void *data, size_t n);

/* Sends a call of service "Health" or "AgentService". data goes into a string field:
 * container_id of WaitProcess, data of WriteStdin; NULL for none. */
bool client_call(struct client *c, uint32_t stream, const char *method, int64_t timeout_ns);

/* The request frame that client_call() sends. */
void make_call(struct buf *out, uint32_t stream, const char *method, int64_t timeout_ns);

/* The next reply; false if the connection ended, or nothing came within 30 s. */
bool client_reply(struct client *c, struct reply *reply);

/* Lets the loop do what is there to be done. */
void bench_settle(struct bench *b);
