/* SPDX-License-Identifier: Apache-2.0 */
/* The outlets of a VM: logs, and clients that are attached. */
#include "ctl/streams/outlet.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"

#define SOCKET      "attach.sock"
#define CLIENTS_MAX 16
#define ID_MAX      200
/* A client with more unread output is to read before more is taken. */
#define FULL (256u << 10)
/* Time for clients to read what is left at the end. */
#define END_MS 5000

struct outlet {
	struct outlets *owner;
	struct outlet *next;
	char id[ID_MAX];
	struct log log;
	/* the container has ended, and what clients get of it */
	bool has_ended;
	int exit_code;
	char failure[256];
};

struct outlet_client {
	int fd;
	/* NULL until the client has named the container */
	struct outlet *outlet;
	char id[ID_MAX];
	size_t n_id;
	struct buf out;
	/* closed once `out` is sent */
	bool is_over;
	/* deadline for the next progress, DEADLINE_NEVER while there is room */
	uint64_t stalls_ns;
};

struct outlets {
	char dir[PATH_MAX];
	struct log_limit limit;
	int epoll, listener, timer;
	struct outlet *first;
	/* fd -1: a free row */
	struct outlet_client clients[CLIENTS_MAX];
};

static void outlet_accept(struct outlets *o);
static void outlet_on_client(struct outlets *o, struct outlet_client *c, uint32_t events);
static void outlet_on_timer(struct outlets *o);
static void outlet_name(struct outlets *o, struct outlet_client *c);
static void outlet_send(struct outlets *o, struct outlet_client *c, enum outlet_kind kind,
			const void *data, size_t n);
static void outlet_send_end(struct outlets *o, struct outlet_client *c);
static void outlet_flush(struct outlets *o, struct outlet_client *c);
static void outlet_drop(struct outlet_client *c);

static bool
outlet_address(const char *dir, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (size_t)snprintf(out->sun_path, sizeof(out->sun_path), "%s/" SOCKET, dir) <
	       sizeof(out->sun_path);
}

static int
outlets_listen(struct outlets *o, struct error *err)
{
	struct sockaddr_un un;
	struct epoll_event listener = { .events = EPOLLIN, .data.ptr = &o->listener };
	struct epoll_event timer = { .events = EPOLLIN, .data.ptr = &o->timer };

	o->epoll = epoll_create1(EPOLL_CLOEXEC);
	o->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	o->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!outlet_address(o->dir, &un))
		errno = ENAMETOOLONG;
	/* The pods of a Job listen one after the other. */
	else if ((unlink(un.sun_path) == 0 || errno == ENOENT) && o->epoll >= 0 && o->timer >= 0 &&
		 o->listener >= 0 &&
		 epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->listener, &listener) == 0 &&
		 epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->timer, &timer) == 0 &&
		 bind(o->listener, (struct sockaddr *)&un, sizeof(un)) == 0 &&
		 listen(o->listener, CLIENTS_MAX) == 0)
		return 0;
	return error_sys(err, "failed to listen on %s/" SOCKET, o->dir);
}

struct outlets *
outlets_new(const char *dir, const struct log_limit *limit, struct error *err)
{
	struct outlets *o = calloc(1, sizeof(*o));

	if (!o) {
		error_nomem(err, "listening for clients");
		return NULL;
	}
	(void)snprintf(o->dir, sizeof(o->dir), "%s", dir);
	o->limit = *limit;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		o->clients[i].fd = -1;
	if (outlets_listen(o, err) == 0)
		return o;
	outlets_free(o);
	return NULL;
}

struct outlet *
outlets_add(struct outlets *o, const char *name, const char *id, struct error *err)
{
	struct outlet *t = calloc(1, sizeof(*t));
	char path[PATH_MAX + 256];

	if (!t) {
		error_nomem(err, "opening a log");
		return NULL;
	}
	t->owner = o;
	t->next = o->first;
	o->first = t;
	(void)snprintf(t->id, sizeof(t->id), "%s", id);
	log_path(o->dir, name, path, sizeof(path));
	log_open(&t->log, path, &o->limit);
	return t;
}

/* Waits until no client has anything left to read, or time is up. */
static void
outlets_drain(struct outlets *o)
{
	uint64_t until = deadline_in(END_MS);

	for (;;) {
		struct pollfd p = { .fd = o->epoll, .events = POLLIN };
		bool has_output = false;

		for (size_t i = 0; i < CLIENTS_MAX; i++)
			has_output |= o->clients[i].fd >= 0 && buf_len(&o->clients[i].out) > 0;
		if (!has_output || deadline_is_over(until) ||
		    (poll(&p, 1, deadline_left_ms(until)) < 0 && errno != EINTR))
			return;
		outlets_handle(o);
	}
}

void
outlets_free(struct outlets *o)
{
	struct outlet *next;

	if (!o)
		return;
	outlets_drain(o);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		outlet_drop(&o->clients[i]);
	for (struct outlet *t = o->first; t; t = next) {
		next = t->next;
		log_close(&t->log);
		free(t);
	}
	close_fd(&o->listener);
	close_fd(&o->timer);
	close_fd(&o->epoll);
	free(o);
}

int
outlets_fd(const struct outlets *o)
{
	return o->epoll;
}

struct outlets *
outlet_owner(const struct outlet *t)
{
	return t->owner;
}

void
outlets_handle(struct outlets *o)
{
	struct epoll_event e;

	/* One by one: handling an event may close other clients. The loop is left to the caller
	 * after each, so that clients never keep it from its other work. */
	if (epoll_wait(o->epoll, &e, 1, 0) != 1)
		return;
	if (e.data.ptr == &o->listener)
		outlet_accept(o);
	else if (e.data.ptr == &o->timer)
		outlet_on_timer(o);
	else
		outlet_on_client(o, e.data.ptr, e.events);
}

/* ---- the container's end ---- */

void
outlet_write(struct outlet *t, bool from_stderr, const void *data, size_t n)
{
	struct outlets *o = t->owner;

	log_write(&t->log, from_stderr, data, n);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (o->clients[i].fd >= 0 && o->clients[i].outlet == t && !o->clients[i].is_over)
			outlet_send(o, &o->clients[i], from_stderr ? OUTLET_ERR : OUTLET_OUT, data,
				    n);
}

bool
outlet_is_full(const struct outlet *t)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		const struct outlet_client *c = &t->owner->clients[i];

		if (c->fd >= 0 && c->outlet == t && !c->is_over && buf_len(&c->out) >= FULL)
			return true;
	}
	return false;
}

void
outlet_started(struct outlet *t)
{
	t->has_ended = false;
}

void
outlet_ended(struct outlet *t, int exit_code, const char *failure)
{
	struct outlets *o = t->owner;

	t->has_ended = true;
	t->exit_code = exit_code;
	(void)snprintf(t->failure, sizeof(t->failure), "%s", failure ? failure : "");
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (o->clients[i].fd >= 0 && o->clients[i].outlet == t && !o->clients[i].is_over)
			outlet_send_end(o, &o->clients[i]);
}

/* ---- clients ---- */

static void
outlet_accept(struct outlets *o)
{
	int fd = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		struct outlet_client *c = &o->clients[i];
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		if (c->fd >= 0)
			continue;
		*c = (struct outlet_client){ .fd = fd, .stalls_ns = DEADLINE_NEVER };
		buf_init(&c->out, FULL + 4 * OUTLET_PAYLOAD_MAX);
		if (epoll_ctl(o->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
			outlet_drop(c);
		return;
	}
	/* Too many. */
	close_fd(&fd);
}

static void
outlet_on_client(struct outlets *o, struct outlet_client *c, uint32_t events)
{
	char bytes[256];
	ssize_t n;

	if (c->fd < 0)
		return;
	if (events & EPOLLOUT)
		outlet_flush(o, c);
	if (c->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = RETRY_EINTR(read(c->fd, bytes, sizeof(bytes)));
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		outlet_drop(c);
		return;
	}
	/* Bytes after the name have no meaning. */
	for (ssize_t i = 0; i < n && !c->outlet && !c->is_over; i++) {
		if (bytes[i] == '\n')
			outlet_name(o, c);
		else if (c->n_id + 1 < sizeof(c->id))
			c->id[c->n_id++] = bytes[i];
		if (c->fd < 0)
			return;
	}
}

/* Attaches the client to the container that it has named. */
static void
outlet_name(struct outlets *o, struct outlet_client *c)
{
	char text[ID_MAX + 64];

	for (struct outlet *t = o->first; t; t = t->next) {
		if (strcmp(t->id, c->id) != 0)
			continue;
		c->outlet = t;
		if (t->has_ended)
			outlet_send_end(o, c);
		else
			outlet_send(o, c, OUTLET_ATTACHED, NULL, 0);
		return;
	}
	c->is_over = true;
	(void)snprintf(text, sizeof(text), "container %s has no output to attach to", c->id);
	outlet_send(o, c, OUTLET_FAILED, text, strlen(text));
}

static void
outlet_send_end(struct outlets *o, struct outlet_client *c)
{
	const struct outlet *t = c->outlet;
	int32_t code = t->exit_code;

	c->is_over = true;
	if (t->failure[0])
		outlet_send(o, c, OUTLET_FAILED, t->failure, strlen(t->failure));
	else
		outlet_send(o, c, OUTLET_ENDED, &code, sizeof(code));
}

static void
outlet_send(struct outlets *o, struct outlet_client *c, enum outlet_kind kind, const void *data,
	    size_t n)
{
	struct outlet_frame head = { .kind = kind, .len = (uint32_t)n };

	if (buf_append(&c->out, &head, sizeof(head)) < 0 ||
	    (n && buf_append(&c->out, data, n) < 0)) {
		outlet_drop(c);
		return;
	}
	outlet_flush(o, c);
}

/* Sends what the socket takes. */
static void
outlet_flush(struct outlets *o, struct outlet_client *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	struct itimerspec tick = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
	bool has_progress = false;

	while (buf_len(&c->out) > 0) {
		ssize_t n = send(c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !io_is_for_now(errno)) {
			outlet_drop(c);
			return;
		}
		if (n <= 0)
			break;
		buf_consume(&c->out, (size_t)n);
		has_progress = true;
	}
	if (buf_len(&c->out) == 0 && c->is_over) {
		outlet_drop(c);
		return;
	}
	if (buf_len(&c->out) < FULL) {
		c->stalls_ns = DEADLINE_NEVER;
	} else if (has_progress || c->stalls_ns == DEADLINE_NEVER) {
		c->stalls_ns = deadline_in(OUTLET_STALL_MS);
		(void)timerfd_settime(o->timer, 0, &tick, NULL);
	}
	if (buf_len(&c->out) > 0)
		e.events |= EPOLLOUT;
	(void)epoll_ctl(o->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void
outlet_on_timer(struct outlets *o)
{
	const struct itimerspec off = { .it_value.tv_sec = 0 };
	bool is_needed = false;
	uint64_t ticks;

	(void)!read(o->timer, &ticks, sizeof(ticks));
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct outlet_client *c = &o->clients[i];

		if (c->fd >= 0 && deadline_is_over(c->stalls_ns))
			outlet_drop(c);
		is_needed |= c->fd >= 0 && c->stalls_ns != DEADLINE_NEVER;
	}
	if (!is_needed)
		(void)timerfd_settime(o->timer, 0, &off, NULL);
}

static void
outlet_drop(struct outlet_client *c)
{
	if (c->fd < 0)
		return;
	/* Closing it also removes it from the epoll set. */
	close_fd(&c->fd);
	buf_release(&c->out);
	c->outlet = NULL;
}

/* ---- the client's end ---- */

int
outlet_connect(const char *dir, const char *id, struct error *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct outlet_frame head;
	struct sockaddr_un un;
	char text[256] = "";
	int32_t code;

	if (fd < 0 || !outlet_address(dir, &un) ||
	    connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return error_sys(err, "failed to connect to the monitor at %s/" SOCKET, dir);
	(void)snprintf(text, sizeof(text), "%.190s\n", id);
	if (write_full(fd, text, strlen(text)) < 0 ||
	    read_full(fd, &head, sizeof(head)) != (ssize_t)sizeof(head))
		return error_set(err, ERROR_UNAVAILABLE, "the monitor refused the connection");
	if (head.kind == OUTLET_ATTACHED)
		return steal_fd(&fd);
	if (head.kind == OUTLET_ENDED && read_full(fd, &code, sizeof(code)) == sizeof(code))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "container %s has ended, with exit code %d", id, (int)code);
	memset(text, 0, sizeof(text));
	(void)read_full(fd, text, head.len < sizeof(text) ? head.len : sizeof(text) - 1);
	return error_set(err, ERROR_FAILED_PRECONDITION, "%s", text);
}
