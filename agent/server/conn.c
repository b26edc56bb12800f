/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See conn.h. Called by the loop, by server.c and by call.c. Keeps nothing whose size a peer chose
 * beyond the limits in server_internal.h.
 */
#include "agent/server/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/server/memory.h"
#include "agent/server/room.h"
#include "agent/server/server_internal.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/ttrpc/envelope.h"

/*
 * The most that is written to vsock at a time. Linux 6.12 splits the packets of larger writes from
 * 32 KiB, and vhost-device-vsock (0.3.0) loses split packets. make bench has a row for the cost.
 */
#define SEND_MAX_VSOCK (28u << 10)

static void conn_queued(struct conn *conn, size_t before, bool is_added);
static void conn_account(struct conn *conn, size_t before, bool is_added);
static void conn_flush(struct conn *conn);
static void conn_on_event(uint32_t events, void *data);
static void conn_take(struct conn *conn, const uint8_t *data, size_t n);
static size_t conn_take_bytes(struct conn *conn, const uint8_t *data, size_t n,
			      unsigned int *frames);
static void conn_frame_arrived(struct conn *conn, const struct frame_header *header,
			       const uint8_t *payload);
static void conn_give_back(struct conn *conn);
static void conn_charge_reader(struct conn *conn);
static void conn_update_deadline(struct conn *conn, unsigned int frames);
static void conn_update_low_water(struct conn *conn);
static void conn_frame_late(void *data);
static void conn_read(struct conn *conn);
static ssize_t conn_receive(struct conn *conn, size_t *direct);

/* Closes the connection at its next event, which shutdown() causes: the caller may still be using
 * it. */
static void
conn_break(struct conn *conn, const char *why)
{
	if (conn->is_broken)
		return;
	log_info("server", "closing a connection: %s", why);
	conn->is_broken = true;
	(void)shutdown(conn->fd, SHUT_RDWR);
	watch_set_events(conn->watch, EPOLLIN);
}

void
conn_fail(struct conn *conn, uint32_t stream, const struct error *err)
{
	size_t before = buf_len(&conn->out);

	if (!conn->is_broken)
		conn_queued(conn, before, envelope_append_failure(&conn->out, stream, err) == 0);
}

static void
conn_queued(struct conn *conn, size_t before, bool is_added)
{
	conn_account(conn, before, is_added);
	conn_write(conn);
}

/* Accounts for a reply. `before`: the bytes in the queue before; is_added: false if out of
 * memory. */
static void
conn_account(struct conn *conn, size_t before, bool is_added)
{
	struct server *server = conn->server;
	struct conn *victim = NULL;

	server->queued += buf_len(&conn->out) - before;
	if (before == 0 && buf_len(&conn->out) > 0)
		progress_add(&conn->going, 0, monotonic_ns());
	if (!is_added)
		victim = conn;
	else if (server->queued > QUEUED_MAX)
		victim = room_fullest(server);
	if (victim)
		conn_break(victim, "its peer does not read its replies");
}

static void
conn_update_events(struct conn *conn)
{
	uint32_t events = 0;

	if (!conn->is_muted)
		events |= EPOLLIN;
	/* Writes what is queued, or continues with what was read already. */
	if (buf_len(&conn->out) > 0 || (!conn->is_muted && buf_len(&conn->pending) > 0))
		events |= EPOLLOUT;
	watch_set_events(conn->watch, events);
}

/* Writes as much as the socket accepts. */
static void
conn_flush(struct conn *conn)
{
	while (!conn->is_broken && buf_len(&conn->out) > 0) {
		size_t len = buf_len(&conn->out);
		ssize_t n;

		if (conn->is_vsock && len > SEND_MAX_VSOCK)
			len = SEND_MAX_VSOCK;
		n = send(conn->fd, buf_head(&conn->out), len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && watch_may_retry(conn->watch, errno))
			break;
		if (n < 0) {
			conn_break(conn, "failed to write to it");
			return;
		}
		conn->server->queued -= (size_t)n;
		buf_consume(&conn->out, (size_t)n);
		if (buf_len(&conn->out) > 0)
			progress_add(&conn->going, (size_t)n, monotonic_ns());
		else
			progress_end(&conn->going);
	}
	if (conn->is_broken)
		return;
	if (buf_len(&conn->out) > OUT_HIGH)
		conn->is_muted = true;
	else if (buf_len(&conn->out) < OUT_LOW)
		conn->is_muted = false;
	conn_update_events(conn);
	if (buf_len(&conn->out) == 0)
		conn->server->conn_ops->wrote(conn->server);
}

void
conn_reply(struct conn *conn, uint32_t stream, const ProtobufCMessage *message)
{
	size_t before = buf_len(&conn->out);
	struct error err = ERROR_INIT;

	if (conn->is_broken)
		return;
	if (envelope_append_reply(&conn->out, stream, message, &err) == 0)
		conn_queued(conn, before, true);
	else if (err.code == ERROR_INVALID_ARGUMENT)
		conn_fail(conn, stream, &err);
	else
		conn_queued(conn, before, false);
}

uint8_t *
conn_reserve_bytes(struct conn *conn, size_t n)
{
	return conn->is_broken ? NULL : envelope_reserve_bytes(&conn->out, n);
}

void
conn_commit_bytes(struct conn *conn, uint32_t stream, uint8_t number, size_t reserved, size_t n)
{
	size_t before = buf_len(&conn->out);

	envelope_commit_bytes(&conn->out, stream, number, reserved, n);
	conn_account(conn, before, true);
}

void
conn_write(struct conn *conn)
{
	if (!conn->is_broken && !conn->is_corked)
		conn_flush(conn);
}

/* ---- reading ---- */

static void
conn_uncharge_reader(struct conn *conn, size_t n)
{
	memory_uncharge(conn->server, n);
	conn->server->readers -= n;
	conn->reader_charged -= n;
}

struct conn *
conn_new(struct server *server, int fd, struct error *err)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	socklen_t size = sizeof(int);
	int domain = AF_UNSPEC;

	if (!conn) {
		error_nomem(err, "accepting a connection");
		return NULL;
	}
	conn->watch = loop_watch(server->loop, fd, EPOLLIN, conn_on_event, conn, err);
	if (!conn->watch) {
		free(conn);
		return NULL;
	}
	conn->server = server;
	conn->fd = fd;
	conn->is_vsock =
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_VSOCK;
	conn->low_water = 1;
	conn->begun_ns = monotonic_ns();
	list_init(&conn->calls);
	frame_reader_init(&conn->reader);
	buf_init(&conn->out, OUT_MAX);
	buf_init(&conn->pending, READ_MAX);
	list_append(&server->conns, &conn->node);
	server->counts.connections++;
	return conn;
}

static void
conn_on_event(uint32_t events, void *data)
{
	struct conn *conn = data;

	if (!conn->is_broken && events & EPOLLOUT)
		conn_flush(conn);
	if (!conn->is_broken && conn->is_muted && events & (EPOLLHUP | EPOLLERR))
		conn->is_broken = true;
	if (!conn->is_broken && !conn->is_muted) {
		conn->received = 0;
		if (buf_len(&conn->pending) > 0)
			conn_take(conn, buf_head(&conn->pending), buf_len(&conn->pending));
		else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			conn_read(conn);
	}
	if (conn->is_broken)
		conn_close(conn);
}

static void
conn_take(struct conn *conn, const uint8_t *data, size_t n)
{
	unsigned int frames = 0;
	size_t used;

	conn->is_corked = true;
	used = conn_take_bytes(conn, data, n, &frames);
	conn->is_corked = false;
	if (data != conn->server->in)
		buf_consume(&conn->pending, used);
	else if (buf_append(&conn->pending, data + used, n - used) < 0)
		conn_break(conn, "out of memory for its requests");
	conn_charge_reader(conn);
	conn_flush(conn);
	conn_update_deadline(conn, frames);
	conn_update_low_water(conn);
}

/* Returns whether the peer reads its replies. Replies wait for the end of a batch, unless there are
 * many. */
static bool
conn_takes_replies(struct conn *conn)
{
	if (buf_len(&conn->out) > OUT_HIGH)
		conn_flush(conn);
	return !conn->is_muted && !conn->is_broken;
}

/* Returns how many bytes were used. Fewer than n: the rest waits until the peer has read its
 * replies or other connections have had their turn, or the connection is broken. */
static size_t
conn_take_bytes(struct conn *conn, const uint8_t *data, size_t n, unsigned int *frames)
{
	struct error err = ERROR_INIT;
	uint64_t end = monotonic_ns() + TURN_NS;
	struct frame_header header;
	size_t at = 0, used;

	while (conn_takes_replies(conn) && (*frames == 0 || !deadline_is_over(end))) {
		if (frame_reader_peek(&conn->reader, data + at, n - at, &header)) {
			conn_frame_arrived(conn, &header, data + at + FRAME_HEADER_SIZE);
			at += FRAME_HEADER_SIZE + header.length;
			++*frames;
			continue;
		}
		switch (frame_reader_feed(&conn->reader, data + at, n - at, &used)) {
		case FRAME_MORE:
			return n;
		case FRAME_READY:
			conn_frame_arrived(conn, &conn->reader.header,
					   buf_head(&conn->reader.payload));
			conn_give_back(conn);
			break;
		case FRAME_OVERSIZE:
			error_set(&err, ERROR_INVALID_ARGUMENT,
				  "frame of %u bytes exceeds the limit of %u",
				  conn->reader.header.length, FRAME_PAYLOAD_MAX);
			conn_fail(conn, conn->reader.header.stream, &err);
			break;
		case FRAME_CLOSE:
			conn_break(conn, "frame too large to skip");
			break;
		case FRAME_NOMEM:
			conn_break(conn, "out of memory for its frame");
			break;
		}
		at += used;
		++*frames;
	}
	return at;
}

/* Handles a complete frame. The payload is in the reader, or among the bytes just read. */
static void
conn_frame_arrived(struct conn *conn, const struct frame_header *header, const uint8_t *payload)
{
	struct error err = ERROR_INIT;

	conn->frame_size = header->length;
	switch (header->type) {
	case FRAME_REQUEST:
		conn->server->conn_ops->request(conn, header->stream, payload, header->length);
		break;
	case FRAME_DATA:
		error_set(&err, ERROR_INVALID_ARGUMENT, "Stream is no longer active");
		conn_fail(conn, header->stream, &err);
		break;
	default:
		log_debug("server", "ignoring a frame of type %d", header->type);
		break;
	}
}

/* Frees the buffer of a large request on an idle connection, unless its call keeps it. */
static void
conn_give_back(struct conn *conn)
{
	struct buf payload;

	if (conn->reader.payload.size <= READ_MAX)
		return;
	frame_reader_take(&conn->reader, &payload);
	memory_give_frame(conn->server, &payload);
}

/* Closes the other connection whose incomplete frame has made no progress for the longest time.
 * Returns false if there is none. */
static bool
conn_end_stalest(const struct conn *conn)
{
	struct conn *stale = room_stalest(conn->server, conn);

	if (!stale)
		return false;
	conn_break(stale,
		   "memory limit for incomplete frames reached, and its frame is the oldest");
	frame_reader_release(&stale->reader);
	conn_uncharge_reader(stale, stale->reader_charged);
	return true;
}

/* Charges incomplete frames as memory of requests, except for a part that each connection is
 * allowed. */
static void
conn_charge_reader(struct conn *conn)
{
	struct server *server = conn->server;
	size_t size = conn->reader.payload.size;
	size_t now = size > READ_MAX ? size : 0;
	size_t more = now > conn->reader_charged ? now - conn->reader_charged : 0;

	if (now < conn->reader_charged)
		conn_uncharge_reader(conn, conn->reader_charged - now);
	while (more > 0 && server->readers + more > READERS_MAX && conn_end_stalest(conn))
		continue;
	if (more > 0 && !memory_charge(server, more)) {
		/* The rest of the runtime's frame is not charged: its call is refused when the
		 * frame is complete. */
		if (conn != server->runtime)
			conn_break(conn, "requests take too much memory");
		return;
	}
	server->readers += more;
	conn->reader_charged += more;
}

/* Only an incomplete frame has a deadline, so an idle connection sets no timer. The runtime's
 * connection has none, because closing it would lose the sandbox. */
static void
conn_update_deadline(struct conn *conn, unsigned int frames)
{
	const struct server *server = conn->server;
	struct error err = ERROR_INIT;
	bool in_header = conn->reader.n_head < FRAME_HEADER_SIZE && conn->reader.skip == 0;
	uint64_t ms = in_header ? server->header_ms : server->body_ms;

	/* The header must arrive as a whole, the body SLOW_BYTES at a time; their time limits
	 * differ. */
	if (frames > 0 || in_header != conn->in_header) {
		progress_end(&conn->coming);
		timer_cancel(conn->timer);
		conn->timer = NULL;
	}
	if (conn->is_broken || conn->is_muted || !frame_reader_is_partial(&conn->reader)) {
		progress_end(&conn->coming);
		timer_cancel(conn->timer);
		conn->timer = NULL;
		conn->in_header = false;
		return;
	}
	progress_add(&conn->coming, conn->received, monotonic_ns());
	conn->deadline_ns = deadline_after(conn->coming.since_ns, ms);
	conn->in_header = in_header;
	if (conn == server->runtime || conn->timer)
		return;
	conn->timer = loop_timer(server->loop, ms, conn_frame_late, conn, &err);
	if (!conn->timer)
		conn_break(conn, err.msg);
}

/*
 * On vsock the kernel has at most 4 KiB of a frame at a time, and would wake the agent for each of
 * them. It waits for the rest of the frame, but not for more than SLOW_BYTES since the last
 * progress: conn_update_deadline() has to see that. The runtime's connection has no deadline. The
 * socket is read only on its events, after which epoll looks at it again: a lower mark cannot leave
 * bytes unnoticed.
 */
static void
conn_update_low_water(struct conn *conn)
{
	const struct frame_reader *reader = &conn->reader;
	size_t missing = 1, most = SLOW_BYTES - conn->coming.bytes;
	int mark;

	if (!conn->is_vsock || conn->is_broken)
		return;
	if (conn == conn->server->runtime)
		most = LOW_WATER_MAX;
	if (reader->skip > 0)
		missing = reader->skip;
	else if (frame_reader_is_partial(reader) && reader->n_head == FRAME_HEADER_SIZE)
		missing = reader->header.length - buf_len(&reader->payload);
	mark = (int)(missing < most ? missing : most);
	if (mark == conn->low_water)
		return;
	/* Cannot fail for a lower mark; without a higher one there are more events. */
	if (setsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark)) == 0)
		conn->low_water = mark;
}

static void
conn_frame_late(void *data)
{
	struct conn *conn = data;
	struct error err = ERROR_INIT;

	conn->timer = NULL;
	if (conn == conn->server->runtime)
		return;
	if (deadline_is_over(conn->deadline_ns)) {
		conn_break(conn, "timed out waiting for the rest of a frame");
		return;
	}
	conn->timer = loop_timer(conn->server->loop, (uint64_t)deadline_left_ms(conn->deadline_ns),
				 conn_frame_late, conn, &err);
}

static void
conn_read(struct conn *conn)
{
	size_t direct;
	ssize_t n = conn_receive(conn, &direct);

	conn->received = n > 0 ? (size_t)n : 0;
	if (n < 0 && watch_may_retry(conn->watch, errno))
		return;
	if (n <= 0)
		conn->is_broken = true;
	else
		conn_take(conn, conn->server->in, (size_t)n - direct);
}

/* Takes the spare buffer once enough of a large frame has arrived. */
static void
conn_take_spare(struct conn *conn)
{
	struct buf *spare = &conn->server->spare_frame, *payload = &conn->reader.payload;
	struct buf taken = *spare;

	if (taken.size == 0 || payload->size > READ_MAX || buf_len(payload) < READ_SMALL / 2)
		return;
	buf_init(spare, FRAME_PAYLOAD_MAX);
	(void)buf_append(&taken, buf_head(payload), buf_len(payload));
	buf_release(payload);
	*payload = taken;
}

/* Reads into the frame itself if much of a large one is still to come. */
static ssize_t
conn_receive(struct conn *conn, size_t *direct)
{
	struct server *server = conn->server;
	struct frame_reader *reader = &conn->reader;
	bool is_large = reader->skip > 0 ||
			(frame_reader_is_partial(reader) && reader->n_head == FRAME_HEADER_SIZE &&
			 reader->header.length - buf_len(&reader->payload) > READ_SMALL);
	/* Another frame like the last one is used where it is read, while of a larger one the first
	 * bytes are copied. */
	bool is_middle = conn->frame_size > READ_SMALL / 2 && conn->frame_size < READ_MAX;
	uint8_t *room = NULL;
	size_t n = 0;
	ssize_t got;

	*direct = 0;
	if (is_large && reader->skip == 0) {
		conn_take_spare(conn);
		room = frame_reader_room(reader, READ_DIRECT, &n);
	}
	if (!room || n < READ_SMALL)
		return RETRY_EINTR(recv(conn->fd, server->in,
					is_large || is_middle ? READ_MAX : READ_SMALL,
					MSG_DONTWAIT));
	got = RETRY_EINTR(recv(conn->fd, room, n, MSG_DONTWAIT));
	if (got > 0) {
		frame_reader_received(reader, (size_t)got);
		*direct = (size_t)got;
	}
	return got;
}

void
conn_close(struct conn *conn)
{
	struct server *server = conn->server;

	conn->is_broken = true;
	if (server->runtime == conn)
		server->runtime = NULL;
	loop_unwatch(conn->watch);
	timer_cancel(conn->timer);
	list_remove(&conn->node);
	server->conn_ops->abandon(&conn->calls);
	conn_uncharge_reader(conn, conn->reader_charged);
	frame_reader_release(&conn->reader);
	server->queued -= buf_len(&conn->out);
	buf_release(&conn->out);
	buf_release(&conn->pending);
	/* A worker that is being forked has a copy of the fd, but the peer must see the end now. */
	(void)shutdown(conn->fd, SHUT_RDWR);
	close_fd(&conn->fd);
	free(conn);
	server->counts.connections--;
	server->conn_ops->gone(server);
}
