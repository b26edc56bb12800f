/* SPDX-License-Identifier: Apache-2.0 */
/* See ports.h. Wired by agent/agent_main.c; used by agent/rpc/rpc_container.c. */
#include "agent/server/ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "agent/server/address.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/log_event.h"

#define ACCEPTS_A_TURN 16

struct kept {
	struct list node;
	uint32_t port;
	int fd;
};

struct ports {
	struct loop *loop;
	/* -1: none */
	int listener;
	/* for address_accept() */
	int spare;
	struct watch *watch;
	/* oldest first */
	struct list kept;
	unsigned int n_kept;
	struct list requests;
};

static void ports_log_connection(uint32_t port);
static void ports_hand_over(struct ports_request *r);
static void ports_on_listener(uint32_t events, void *data);
static void ports_on_late(void *data);
static void ports_request_unwanted(struct pending *p);

static void
ports_kept_free(struct ports *ports, struct kept *kept)
{
	list_remove(&kept->node);
	ports->n_kept--;
	close_fd(&kept->fd);
	free(kept);
}

static struct kept *
ports_kept_find(const struct ports *ports, uint32_t port)
{
	struct list *pos;

	list_for_each (pos, &ports->kept) {
		struct kept *kept = list_entry(pos, struct kept, node);

		if (kept->port == port)
			return kept;
	}
	return NULL;
}

/* Returns the first port of the request without a connection; 0: all are connected. */
static uint32_t
ports_missing(const struct ports_request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->port); i++) {
		if (r->port[i] && !ports_kept_find(r->ports, r->port[i]))
			return r->port[i];
	}
	return 0;
}

static void
ports_request_end(struct ports_request *r)
{
	(void)pending_end(&r->pending);
	list_remove(&r->node);
	timer_cancel(r->timer);
	r->timer = NULL;
}

void
ports_add(struct ports *ports, uint32_t port, int fd)
{
	struct kept *kept = ports_kept_find(ports, port);
	struct list *pos, *next;
	struct error none = ERROR_INIT;

	if (kept)
		ports_kept_free(ports, kept);
	if (ports->n_kept >= PORTS_KEPT_MAX)
		ports_kept_free(ports, list_entry(ports->kept.next, struct kept, node));
	kept = calloc(1, sizeof(*kept));
	if (!kept) {
		close_fd(&fd);
		log_warn("stdio", "connection from port %u: out of memory", port);
		return;
	}
	kept->port = port;
	kept->fd = fd;
	list_init(&kept->node);
	list_append(&ports->kept, &kept->node);
	ports->n_kept++;
	ports_log_connection(port);
	list_for_each_safe (pos, next, &ports->requests) {
		struct ports_request *r = list_entry(pos, struct ports_request, node);

		if (ports_missing(r))
			continue;
		ports_request_end(r);
		ports_hand_over(r);
		r->done(r, &none);
		/* No other request has this port, and done() may have changed the list. */
		return;
	}
}

static void
ports_log_connection(uint32_t port)
{
	char text[16];
	const struct log_field field = { "port", text };

	(void)snprintf(text, sizeof(text), "%u", port);
	log_event(LOG_LEVEL_DEBUG, "stdio", EVENT_STREAM_CONNECTED, &field, 1,
		  "connection from port %s", text);
}

static void
ports_hand_over(struct ports_request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->port); i++) {
		struct kept *kept = r->port[i] ? ports_kept_find(r->ports, r->port[i]) : NULL;

		if (!kept)
			continue;
		r->fd[i] = steal_fd(&kept->fd);
		ports_kept_free(r->ports, kept);
	}
}

struct ports *
ports_new(struct loop *loop, uint32_t vport, struct error *err)
{
	struct ports *ports = calloc(1, sizeof(*ports));
	char address[32], *path = NULL;
	int family;

	if (!ports) {
		error_nomem(err, "listening for streams");
		return NULL;
	}
	ports->loop = loop;
	ports->listener = -1;
	ports->spare = -1;
	list_init(&ports->kept);
	list_init(&ports->requests);
	if (vport == 0)
		return ports;
	(void)snprintf(address, sizeof(address), "vsock://-1:%u", vport);
	ports->listener = address_listen(address, &family, &path, err);
	if (ports->listener >= 0)
		ports->watch =
			loop_watch(loop, ports->listener, EPOLLIN, ports_on_listener, ports, err);
	ports->spare = eventfd(0, EFD_CLOEXEC);
	if (ports->watch)
		return ports;
	ports_free(ports);
	return NULL;
}

static void
ports_on_listener(uint32_t events, void *data)
{
	struct ports *ports = data;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		uint32_t port;
		int fd = address_accept(ports->listener, &ports->spare, &port);

		if (fd >= 0)
			ports_add(ports, port, fd);
		else if (watch_may_retry(ports->watch, errno))
			return;
	}
}

void
ports_free(struct ports *ports)
{
	if (!ports)
		return;
	while (!list_is_empty(&ports->kept))
		ports_kept_free(ports, list_entry(ports->kept.next, struct kept, node));
	loop_unwatch(ports->watch);
	close_fd(&ports->listener);
	close_fd(&ports->spare);
	free(ports);
}

int
ports_take(struct ports *ports, struct ports_request *r, struct error *err)
{
	list_init(&r->node);
	r->ports = ports;
	r->timer = NULL;
	for (size_t i = 0; i < ARRAY_LEN(r->fd); i++) {
		r->fd[i] = -1;
		for (size_t j = 0; j < i; j++)
			if (r->port[i] && r->port[i] == r->port[j])
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "port %u is used for two streams", r->port[i]);
	}
	if (!ports_missing(r)) {
		ports_hand_over(r);
		return 0;
	}
	r->timer = loop_timer(ports->loop, PORTS_WAIT_MS, ports_on_late, r, err);
	if (!r->timer)
		return -1;
	r->pending.cancel = ports_request_unwanted;
	list_append(&ports->requests, &r->node);
	return 1;
}

static void
ports_on_late(void *data)
{
	struct ports_request *r = data;
	struct error err = ERROR_INIT;

	r->timer = NULL;
	ports_request_end(r);
	error_set(&err, ERROR_NOT_FOUND,
		  "no connection from port %u for a stream within %u ms; there are %u others",
		  ports_missing(r), PORTS_WAIT_MS, r->ports->n_kept);
	r->done(r, &err);
}

static void
ports_request_unwanted(struct pending *p)
{
	ports_request_end(pending_entry(p, struct ports_request, pending));
}
