/* SPDX-License-Identifier: Apache-2.0 */
/* The state that the files of this directory share, and its limits. */
#pragma once

#include "agent/server/server.h"
#include "lib/buf.h"
#include "lib/list.h"
#include "lib/ttrpc/frame.h"

#define CONNS_MAX 64
/* Calls in flight on one connection. */
#define CALLS_MAX 4096
/* Memory of all requests, including incomplete frames. */
#define MEMORY_MAX (32u << 20)
/* The part of it for incomplete frames. */
#define READERS_MAX (MEMORY_MAX / 2)
/* Replies that are not written yet, in total. */
#define QUEUED_MAX (48u << 20)
/* The same for one connection, which is closed beyond it: parked reads of 1,000 streams. */
#define OUT_MAX (32u << 20)
/* Reading from the connection stops above this. */
#define OUT_HIGH (256u << 10)
/* Reading resumes below this. */
#define OUT_LOW  (64u << 10)
#define READ_MAX (64u << 10)
/* Largest read directly into a large frame. */
#define READ_DIRECT (256u << 10)
/* Largest read otherwise. */
#define READ_SMALL (16u << 10)
/* The most that the socket of the runtime collects before it is read. With half as much free in its
 * buffer, vsock tells the peer that it may send more. */
#define LOW_WATER_MAX (32u << 10)
/* Time for one connection before the others have their turn. */
#define TURN_NS 500000
/* Time from the first byte of a frame to its whole header. */
#define HEADER_MS 10000
/* Time for each SLOW_BYTES of a frame's body. */
#define BODY_MS 30000
/* A peer that moves less of a frame or of replies in SLOW_MS is slow. */
#define SLOW_BYTES (16u << 10)
/* After this a slow peer may be evicted when all places are taken. */
#define SLOW_MS 5000
/* Interval of checks for a connection that has become slow. */
#define PAUSE_MS 1000
/* Time for which the memory of a large request is kept for the next one. */
#define SPARE_MS 1000
/* Arena of calls that are answered even beyond MEMORY_MAX. */
#define HEALTH_ARENA_MAX (64u << 10)
/* Lines per second. */
#define FAILURES_LOGGED 20
/* A decoded request of 16 MiB, and its reply. */
#define CALL_ARENA_MAX (21u << 20)

struct conn;
struct conn_ops;

/* Counts failed calls in the current second. */
struct failure_log {
	uint64_t since_ns;
	unsigned int lines, silent;
};

struct server {
	struct loop *loop;
	const struct server_spec *spec;
	const struct conn_ops *conn_ops;
	struct list listeners;
	/* Oldest first. */
	struct list conns;
	/* Closed temporarily to accept (and close) a connection when fds run out. */
	int spare_fd;
	/* All places are taken by connections that may not be evicted. */
	bool is_paused;
	/* Since a connection was last accepted. */
	bool is_full_logged;
	struct timer *pause_timer;
	/* Created the sandbox: never closed in favour of others; NULL: none. */
	struct conn *runtime;
	bool is_draining;
	/* Drained: only waiting for the peers to close. */
	bool is_closing;
	struct timer *drain_timer;
	struct post drain_check;
	void (*drain_done)(void *data);
	void *drain_data;
	/* Bytes in the output queues of all connections. */
	size_t queued;
	/* The part of counts.memory in incomplete frames. */
	size_t readers;
	/* HEADER_MS and so on; shorter in tests. */
	uint64_t header_ms, body_ms, slow_ms;
	struct server_counts counts;
	struct failure_log failures;
	/* For calls. */
	struct arena_spare spare;
	/* Empty, with the memory of the last large frame. */
	struct buf spare_frame;
	/* Used since the last check. */
	bool spare_used;
	struct timer *spare_timer;
	uint8_t in[READ_MAX];
};

/* Progress of a peer that owes bytes: when it began or last completed SLOW_BYTES, and the bytes
 * since then. */
struct progress {
	/* 0: nothing is owed. */
	uint64_t since_ns;
	size_t bytes;
};

struct conn {
	struct list node;
	struct server *server;
	int fd;
	struct watch *watch;
	struct frame_reader reader;
	/* Included in counts.memory. */
	size_t reader_charged;
	struct buf out;
	/* Bytes that were read and wait for their turn. */
	struct buf pending;
	/* Parked calls (call.c). */
	struct list calls;
	unsigned int n_calls;
	/* Completed a call: never evicted. */
	bool has_served;
	/* Replies are written at the end of the batch of frames. */
	bool is_corked;
	/* Will be closed at its next event, which is certain. */
	bool is_broken;
	/* Not read until the peer has read its replies. */
	bool is_muted;
	struct timer *timer;
	/* The deadline of the incomplete frame. */
	uint64_t deadline_ns;
	bool in_header;
	bool is_vsock;
	/* Time of the accept. */
	uint64_t begun_ns;
	/* Progress of the rest of a frame. */
	struct progress coming;
	/* Progress of the peer's reading of replies. */
	struct progress going;
	/* Bytes of the last read. */
	size_t received;
	/* Length of the last frame. */
	size_t frame_size;
	/* Number of bytes from which on the socket is readable. */
	int low_water;
};
