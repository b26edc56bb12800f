/* SPDX-License-Identifier: Apache-2.0 */
/* What server.c, conn.c and call.c share. Nobody else includes this. */
#pragma once

#include "agent/server/server.h"
#include "lib/buf.h"
#include "lib/list.h"
#include "lib/ttrpc/frame.h"

#define CONNS_MAX 64
/* in flight on one connection */
#define CALLS_MAX 4096
/* of requests, half-received frames included, in total */
#define MEMORY_MAX (32u << 20)
/* of that, in half-received frames */
#define READERS_MAX (MEMORY_MAX / 2)
/* of replies that were not written yet, in total */
#define QUEUED_MAX (48u << 20)
/* the same of one connection, which is closed then: parked reads of 1,000 streams */
#define OUT_MAX (32u << 20)
/* above: nothing is read from that connection */
#define OUT_HIGH (256u << 10)
/* below: it is read again */
#define OUT_LOW  (64u << 10)
#define READ_MAX (64u << 10)
/* into a large frame */
#define READ_DIRECT (256u << 10)
/* unless in the middle of something large */
#define READ_SMALL (16u << 10)
/* of one connection, before the others have theirs */
#define TURN_NS 500000
/* from a frame's first byte to its whole header */
#define HEADER_MS 10000
/* for each SLOW_BYTES of a frame's body */
#define BODY_MS 30000
/* fewer in SLOW_MS, of a frame or of replies, and the peer is slow */
#define SLOW_BYTES (16u << 10)
/* then it makes room when all places are taken */
#define SLOW_MS 5000
/* until it is looked again for one that has become slow */
#define PAUSE_MS 1000
/* for so long the memory of large requests is kept for the next */
#define SPARE_MS 1000
/* of calls that are answered even when MEMORY_MAX is reached */
#define HEALTH_ARENA_MAX (64u << 10)
/* lines a second */
#define FAILURES_LOGGED 20
/* a request of 16 MiB once decoded, and its reply */
#define CALL_ARENA_MAX (21u << 20)

struct listener {
	struct list node;
	struct server *server;
	int fd;
	int family;
	struct watch *watch;
	/* of a unix socket, removed at the end; NULL else */
	char *path;
};

/* Of failed calls, in one second. */
struct failure_log {
	uint64_t since_ns;
	unsigned int lines, silent;
};

struct server {
	struct loop *loop;
	const struct server_spec *spec;
	struct list listeners;
	/* oldest first */
	struct list conns;
	/* given up to accept (and close) one more when fds are out */
	int spare_fd;
	/* all connections are taken by those that may not be evicted */
	bool is_paused;
	/* since a connection was last accepted */
	bool is_full_logged;
	struct timer *pause_timer;
	/* created the sandbox: not closed for others; NULL: none */
	struct conn *runtime;
	bool is_draining;
	/* drained: only the peers' ends are waited for */
	bool is_closing;
	struct timer *drain_timer;
	struct post drain_check;
	void (*drain_done)(void *data);
	void *drain_data;
	/* bytes in all connections' out */
	size_t queued;
	/* of counts.memory: in half-received frames */
	size_t readers;
	/* HEADER_MS and so on; tests have less time */
	uint64_t header_ms, body_ms, slow_ms;
	struct server_counts counts;
	struct failure_log failures;
	/* of calls */
	struct arena_spare spare;
	/* empty, with the memory of the last large one */
	struct buf spare_frame;
	/* lately */
	bool spare_used;
	struct timer *spare_timer;
	uint8_t in[READ_MAX];
};

/* Of a peer that owes something: when it began or last made SLOW_BYTES of progress, and the
 * bytes since. */
struct progress {
	/* 0: it owes nothing */
	uint64_t since_ns;
	size_t bytes;
};

struct conn {
	struct list node;
	struct server *server;
	int fd;
	struct watch *watch;
	struct frame_reader reader;
	/* of counts.memory */
	size_t reader_charged;
	struct buf out;
	/* was read, and waits for its turn */
	struct buf pending;
	/* parked */
	struct list calls;
	unsigned int n_calls;
	/* completed a call: never evicted */
	bool has_served;
	/* replies are written at the end of the batch of frames */
	bool is_corked;
	/* to be closed at its next event, which is certain */
	bool is_broken;
	/* not read until it takes what it asked for */
	bool is_muted;
	struct timer *timer;
	/* of the frame that is half here */
	uint64_t deadline_ns;
	bool in_header;
	bool is_vsock;
	/* when it was accepted */
	uint64_t begun_ns;
	/* the rest of a frame */
	struct progress coming;
	/* the peer's taking of replies */
	struct progress going;
	/* bytes that came with the last read */
	size_t received;
};

/* ---- server.c ---- */
void server_conn_gone(struct server *server);
void server_wrote(struct server *server);
/* Takes n more bytes into account, or says no. */
bool server_charge(struct server *server, size_t n);
void server_uncharge(struct server *server, size_t n);
/* There is memory that was a large request's. */
void server_keep_spare(struct server *server);

/* ---- room.c ---- */
/* n bytes have moved; begins if nothing was owed. */
void progress_add(struct progress *p, size_t n, uint64_t now_ns);
void progress_end(struct progress *p);
/* The connection to close for a new one; NULL: all are in use. */
struct conn *room_victim(const struct server *server);
/* The one whose queue is the longest; NULL: there is only the runtime's. */
struct conn *room_fullest(const struct server *server);
/* The one whose half-received frame has stood still for longest, but for one; NULL: there is
 * none. */
struct conn *room_stalest(const struct server *server, const struct conn *but);

/* ---- conn.c ---- */
struct conn *conn_new(struct server *server, int fd, struct error *err);
/* Not from inside one of its own events. */
void conn_close(struct conn *conn);
void conn_reply(struct conn *conn, uint32_t stream, const ProtobufCMessage *message);
void conn_fail(struct conn *conn, uint32_t stream, const struct error *err);

/* ---- call.c ---- */
/* One request frame. */
void call_dispatch(struct conn *conn, uint32_t stream, const uint8_t *payload, size_t n);
/* The connection has ended. */
void call_abandon(struct call *call);
struct call *call_of_node(struct list *node);
