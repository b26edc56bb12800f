/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners, admission of connections, and the drain. Wired by agent/agent_main.c. Never blocks; an
 * idle server has no timers.
 *
 *   listening -> draining   server_drain(): no new connections and calls, replies are written
 *             -> closing    all replies are written, or 1 s has passed: the peers read them
 *             -> over       all peers have closed their connections, or 200 ms have passed
 */
#include "agent/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "agent/server/address.h"
#include "agent/server/conn.h"
#include "agent/server/memory.h"
#include "agent/server/room.h"
#include "agent/server/server_internal.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define ACCEPTS_A_TURN 16
#define DRAIN_MS       1000
/* Time for the peers to close their connections. */
#define CLOSE_MS 200

struct listener {
	struct list node;
	struct server *server;
	int fd;
	int family;
	struct watch *watch;
	/* The path of a unix socket, removed at the end; else NULL. */
	char *path;
};

static void server_on_listener(uint32_t events, void *data);
static void server_accepted(struct listener *listener, int fd, const struct sockaddr_vm *peer,
			    socklen_t size);
static bool server_make_room(struct server *server);
static void server_pause(struct server *server);
static void server_pause_over(void *data);
static void server_listen_again(struct server *server);
static void server_wrote(struct server *server);
static void server_drain_close(struct server *server);
static void server_drain_late(void *data);
static void server_drain_over(struct server *server);

static void
server_listener_free(struct listener *listener)
{
	list_remove(&listener->node);
	loop_unwatch(listener->watch);
	close_fd(&listener->fd);
	address_forget(listener->path);
	free(listener);
}

int
server_listen(struct server *server, const char *address, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return error_nomem(err, "listening for connections");
	list_init(&listener->node);
	listener->server = server;
	listener->fd = address_listen(address, &listener->family, &listener->path, err);
	if (listener->fd >= 0)
		listener->watch = loop_watch(server->loop, listener->fd, EPOLLIN,
					     server_on_listener, listener, err);
	if (!listener->watch) {
		server_listener_free(listener);
		return -1;
	}
	list_append(&server->listeners, &listener->node);
	return 0;
}

static void
server_on_listener(uint32_t events, void *data)
{
	struct listener *listener = data;
	struct server *server = listener->server;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		union {
			struct sockaddr sa;
			struct sockaddr_vm vm;
			struct sockaddr_storage room;
		} peer = { .sa.sa_family = AF_UNSPEC };
		socklen_t size = sizeof(peer);
		int fd;

		if (server->counts.connections >= CONNS_MAX && !room_victim(server)) {
			if (!server->is_full_logged)
				log_warn("server", "all %u connections are in use", CONNS_MAX);
			server->is_full_logged = true;
			server_pause(server);
			return;
		}
		fd = accept4(listener->fd, &peer.sa, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			server_accepted(listener, fd, &peer.vm, size);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			address_shed(listener->fd, &server->spare_fd);
			log_warn("server", "connection refused: out of file descriptors");
		} else if (errno != EINTR && errno != ECONNABORTED) {
			(void)watch_may_retry(listener->watch, errno);
			return;
		}
	}
}

static void
server_accepted(struct listener *listener, int fd, const struct sockaddr_vm *peer, socklen_t size)
{
	struct server *server = listener->server;
	bool is_host = size >= sizeof(*peer) && peer->svm_family == AF_VSOCK &&
		       peer->svm_cid == VMADDR_CID_HOST;
	struct error err = ERROR_INIT;

	if (listener->family == AF_VSOCK && !is_host) {
		/* Anyone in the guest may cause this, so only occurrences 1, 2, 4, 8... are
		 * logged. */
		uint64_t n = ++server->counts.strangers;

		if ((n & (n - 1)) == 0)
			log_warn("server",
				 "connection from context %u closed: not the host (%llu so far)",
				 peer->svm_cid, (unsigned long long)n);
		close_fd(&fd);
		return;
	}
	if (server_adopt(server, fd, &err) < 0)
		log_warn("server", "%s", err.msg);
}

int
server_adopt(struct server *server, int fd, struct error *err)
{
	if (server->is_draining || !server_make_room(server)) {
		close_fd(&fd);
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "too many connections");
	}
	if (!conn_new(server, fd, err)) {
		close_fd(&fd);
		return -1;
	}
	server->is_full_logged = false;
	return 0;
}

static bool
server_make_room(struct server *server)
{
	struct conn *victim;
	uint64_t n;

	if (server->counts.connections < CONNS_MAX)
		return true;
	victim = room_victim(server);
	if (!victim)
		return false;
	/* A peer may cause this as often as it likes, so only occurrences 1, 2, 4, 8... are
	 * logged. */
	n = ++server->counts.evicted;
	if ((n & (n - 1)) == 0)
		log_info("server",
			 "closing a connection in favour of a new one: it %s (%llu so far)",
			 victim->has_served ? "sends a frame or takes its replies too slowly"
					    : "was never used",
			 (unsigned long long)n);
	conn_close(victim);
	return true;
}

/* Stops accepting until a connection ends, or for a while: a busy connection may have become slow
 * by then. */
static void
server_pause(struct server *server)
{
	struct error err = ERROR_INIT;
	struct list *pos;

	if (server->is_paused)
		return;
	server->is_paused = true;
	list_for_each (pos, &server->listeners)
		watch_set_events(list_entry(pos, struct listener, node)->watch, 0);
	server->pause_timer = loop_timer(server->loop, PAUSE_MS, server_pause_over, server, &err);
	if (!server->pause_timer)
		log_warn("server", "not accepting connections until one ends: %s", err.msg);
}

static void
server_pause_over(void *data)
{
	struct server *server = data;

	server->pause_timer = NULL;
	server_listen_again(server);
}

static void
server_listen_again(struct server *server)
{
	struct list *pos;

	timer_cancel(server->pause_timer);
	server->pause_timer = NULL;
	server->is_paused = false;
	list_for_each (pos, &server->listeners)
		watch_set_events(list_entry(pos, struct listener, node)->watch, EPOLLIN);
}

void
server_drain(struct server *server, void (*done)(void *data), void *data)
{
	struct error err = ERROR_INIT;

	if (server->is_draining)
		return;
	server->is_draining = true;
	server->drain_done = done;
	server->drain_data = data;
	while (!list_is_empty(&server->listeners))
		server_listener_free(list_entry(server->listeners.next, struct listener, node));
	server->drain_timer = loop_timer(server->loop, DRAIN_MS, server_drain_late, server, &err);
	if (!server->drain_timer)
		log_warn("server", "sending the last replies without a time limit: %s", err.msg);
	loop_post(server->loop, &server->drain_check);
}

/* Runs after the call that requested the drain has queued its reply. */
static void
server_drain_check(void *data)
{
	struct server *server = data;

	server_wrote(server);
}

static void
server_wrote(struct server *server)
{
	if (!server->is_draining || post_is_pending(&server->drain_check) || server->queued > 0)
		return;
	if (!server->is_closing)
		server_drain_close(server);
	else if (list_is_empty(&server->conns))
		server_drain_over(server);
}

/* Shuts down sending on every connection and waits for the peers to close theirs. The VM may be
 * powered off afterwards, which would lose replies that are still in buffers of host programs. */
static void
server_drain_close(struct server *server)
{
	struct error err = ERROR_INIT;
	struct list *pos;

	server->is_closing = true;
	list_for_each (pos, &server->conns)
		(void)shutdown(list_entry(pos, struct conn, node)->fd, SHUT_WR);
	timer_cancel(server->drain_timer);
	server->drain_timer = loop_timer(server->loop, CLOSE_MS, server_drain_late, server, &err);
	if (!server->drain_timer || list_is_empty(&server->conns))
		server_drain_over(server);
}

static void
server_drain_late(void *data)
{
	struct server *server = data;

	server->drain_timer = NULL;
	server_drain_over(server);
}

static void
server_drain_over(struct server *server)
{
	void (*done)(void *data) = server->drain_done;

	timer_cancel(server->drain_timer);
	server->drain_timer = NULL;
	server->drain_done = NULL;
	if (done)
		done(server->drain_data);
}

static void
server_conn_gone(struct server *server)
{
	if (server->is_paused)
		server_listen_again(server);
	server_wrote(server);
}

static const struct conn_ops server_conn_ops = {
	.request = call_dispatch,
	.abandon = call_abandon_all,
	.wrote = server_wrote,
	.gone = server_conn_gone,
};

struct server *
server_new(struct loop *loop, const struct server_spec *spec, struct error *err)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server) {
		error_nomem(err, "creating the server");
		return NULL;
	}
	server->loop = loop;
	server->spec = spec;
	server->conn_ops = &server_conn_ops;
	server->header_ms = HEADER_MS;
	server->body_ms = BODY_MS;
	server->slow_ms = SLOW_MS;
	list_init(&server->listeners);
	list_init(&server->conns);
	post_init(&server->drain_check, server_drain_check, server);
	buf_init(&server->spare_frame, FRAME_PAYLOAD_MAX);
	server->spare_fd = eventfd(0, EFD_CLOEXEC);
	return server;
}

void
server_free(struct server *server)
{
	if (!server)
		return;
	/* The connections that are closed here must neither continue a drain nor end a pause. */
	server->is_draining = false;
	server->drain_done = NULL;
	while (!list_is_empty(&server->conns))
		conn_close(list_entry(server->conns.next, struct conn, node));
	while (!list_is_empty(&server->listeners))
		server_listener_free(list_entry(server->listeners.next, struct listener, node));
	timer_cancel(server->pause_timer);
	timer_cancel(server->drain_timer);
	post_cancel(&server->drain_check);
	memory_release_spare(server);
	close_fd(&server->spare_fd);
	free(server);
}

struct server_counts
server_counts(const struct server *server)
{
	return server->counts;
}
