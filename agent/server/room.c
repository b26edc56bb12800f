/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selects the connection to close when another one needs its place, or its share of the queues or
 * of the memory. A peer that sends its frames and reads its replies slowly keeps its place only
 * while no other connection needs it. The connection that created the sandbox is the runtime's: it
 * is never closed in favour of another. Called by server.c and conn.c. Never blocks.
 */
#include "agent/server/room.h"

#include "agent/server/server_internal.h"
#include "lib/deadline.h"

static struct conn *room_find_unused(const struct server *server);
static struct conn *room_find_slow(const struct server *server, uint64_t now_ns);

/* ---- progress of a peer ---- */

void
progress_add(struct progress *p, size_t n, uint64_t now_ns)
{
	if (p->since_ns == 0) {
		*p = (struct progress){ .since_ns = now_ns };
		return;
	}
	p->bytes += n;
	if (p->bytes >= SLOW_BYTES)
		*p = (struct progress){ .since_ns = now_ns };
}

void
progress_end(struct progress *p)
{
	*p = (struct progress){ 0 };
}

/* Returns since when the peer is late with bytes or has not read its replies; UINT64_MAX:
 * neither. */
static uint64_t
room_slow_since(const struct conn *conn)
{
	uint64_t in = conn->coming.since_ns, out = conn->going.since_ns;

	if (in == 0)
		in = UINT64_MAX;
	if (out == 0)
		out = UINT64_MAX;
	return in < out ? in : out;
}

/* ---- selection ---- */

struct conn *
room_victim(const struct server *server)
{
	struct conn *unused = room_find_unused(server), *slow;
	uint64_t now = monotonic_ns();

	/* A new connection may be about to send its first request. */
	if (unused && now - unused->begun_ns >= server->slow_ms * NS_PER_MS)
		return unused;
	slow = room_find_slow(server, now);
	return slow ? slow : unused;
}

static bool
room_is_unused(const struct conn *conn)
{
	return !conn->has_served && conn->n_calls == 0;
}

/* Returns the oldest connection that never completed a call and waits for none. */
static struct conn *
room_find_unused(const struct server *server)
{
	struct list *pos;

	list_for_each (pos, &server->conns) {
		struct conn *conn = list_entry(pos, struct conn, node);

		if (room_is_unused(conn))
			return conn;
	}
	return NULL;
}

/* Compares two slow connections: one without calls is worse, then the one that has been slow for
 * longer. */
static bool
room_is_worse(const struct conn *a, const struct conn *b)
{
	if ((a->n_calls == 0) != (b->n_calls == 0))
		return a->n_calls == 0;
	return room_slow_since(a) < room_slow_since(b);
}

static struct conn *
room_find_slow(const struct server *server, uint64_t now_ns)
{
	struct conn *worst = NULL;
	struct list *pos;

	list_for_each (pos, &server->conns) {
		struct conn *conn = list_entry(pos, struct conn, node);
		uint64_t since = room_slow_since(conn);

		if (conn == server->runtime || since >= now_ns ||
		    now_ns - since < server->slow_ms * NS_PER_MS)
			continue;
		if (!worst || room_is_worse(conn, worst))
			worst = conn;
	}
	return worst;
}

/* A connection that is already broken counts, too: its queue will be freed soon. */
struct conn *
room_fullest(const struct server *server)
{
	struct conn *fullest = NULL;
	struct list *pos;

	list_for_each (pos, &server->conns) {
		struct conn *c = list_entry(pos, struct conn, node);

		if (c != server->runtime && (!fullest || buf_len(&c->out) > buf_len(&fullest->out)))
			fullest = c;
	}
	return fullest;
}

struct conn *
room_stalest(const struct server *server, const struct conn *but)
{
	struct conn *stale = NULL;
	struct list *pos;

	list_for_each (pos, &server->conns) {
		struct conn *c = list_entry(pos, struct conn, node);

		if (c != but && c != server->runtime && c->reader_charged > 0 &&
		    (!stale || c->deadline_ns < stale->deadline_ns))
			stale = c;
	}
	return stale;
}
