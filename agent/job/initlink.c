/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of the socket to init: sends registrations, and passes each exit to its callback.
 * Used by agent/job and agent/container. Never blocks; never waits for a process itself.
 */
#include "agent/job/initlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/initproto.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/log.h"

/* A power of two. */
#define BUCKETS 256
/* Limit of messages that init has not read yet: beyond it, init has stopped. */
#define OUT_MAX (16384 * sizeof(struct initproto_msg))

/* One registration. Registrations of one pid receive their exits in the order of registration: a
 * pid is only reused after init has sent the exit of its former owner. */
struct child {
	struct list node;
	struct initlink *link;
	pid_t pid;
	/* NULL: unwatched. */
	child_fn *fn;
	void *data;
};

struct initlink {
	struct loop *loop;
	int fd;
	struct watch *watch;
	void (*on_lost)(void *data);
	void *on_lost_data;
	struct list buckets[BUCKETS];
	/* Whole messages that did not fit into the socket. */
	struct buf out;
	bool is_pid1;
	bool is_lost;
	uint64_t boot_ns[2];
};

static void initlink_on_event(uint32_t events, void *data);
static bool initlink_flush(struct initlink *l);
static void initlink_drain(struct initlink *l);
static void initlink_received(struct initlink *l, const struct initproto_msg *msg);
static void initlink_child_ended(struct initlink *l, pid_t pid, int status, bool gone);
static int initlink_send(struct initlink *l, const struct initproto_msg *msg, bool now);

struct initlink *
initlink_new(struct loop *loop, int fd, void (*on_lost)(void *data), void *data, struct error *err)
{
	struct initlink *l = calloc(1, sizeof(*l));
	struct initproto_msg msg;
	int fds[IO_FDS_MAX];
	size_t n_fds;

	if (!l) {
		error_nomem(err, "connecting to init");
		return NULL;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&l->buckets[i]);
	l->loop = loop;
	l->fd = fd;
	l->on_lost = on_lost;
	l->on_lost_data = data;
	buf_init(&l->out, OUT_MAX);
	l->watch = loop_watch(loop, fd, EPOLLIN, initlink_on_event, l, err);
	if (!l->watch) {
		error_wrap(err, "failed to watch the socket to init");
		free(l);
		return NULL;
	}
	/* The first message was sent before the agent started, when nothing was registered yet. */
	if (recv_msg(fd, &msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT) == sizeof(msg))
		initlink_received(l, &msg);
	return l;
}

static void
initlink_update_events(struct initlink *l)
{
	watch_set_events(l->watch, buf_len(&l->out) > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
initlink_on_event(uint32_t events, void *data)
{
	struct initlink *l = data;

	if (events & EPOLLOUT) {
		(void)initlink_flush(l);
		initlink_update_events(l);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		initlink_drain(l);
}

static int
initlink_send_now(struct initlink *l, const struct initproto_msg *msg)
{
	return send_msg(l->fd, msg, sizeof(*msg), NULL, 0, MSG_DONTWAIT);
}

/* Returns true when nothing is left to send. */
static bool
initlink_flush(struct initlink *l)
{
	struct initproto_msg msg;

	while (buf_len(&l->out) >= sizeof(msg)) {
		memcpy(&msg, buf_head(&l->out), sizeof(msg));
		if (initlink_send_now(l, &msg) < 0 && watch_may_retry(l->watch, errno))
			return false;
		buf_consume(&l->out, sizeof(msg));
	}
	return true;
}

static void
initlink_is_lost(struct initlink *l)
{
	if (l->is_lost)
		return;
	l->is_lost = true;
	watch_set_events(l->watch, 0);
	if (l->on_lost)
		l->on_lost(l->on_lost_data);
}

/* Receives messages until there are none. */
static void
initlink_drain(struct initlink *l)
{
	struct initproto_msg msg;
	int fds[IO_FDS_MAX];
	size_t n_fds;
	ssize_t n;

	while (!l->is_lost) {
		n = recv_msg(l->fd, &msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT);
		if (n == sizeof(msg)) {
			initlink_received(l, &msg);
			continue;
		}
		if (n < 0 && watch_may_retry(l->watch, errno))
			return;
		if (n == 0 || (n < 0 && errno != EMSGSIZE)) {
			initlink_is_lost(l);
			return;
		}
		log_warn("init", "invalid size of a message from init");
	}
}

static void
initlink_received(struct initlink *l, const struct initproto_msg *msg)
{
	switch (msg->type) {
	case INITPROTO_EXIT:
		initlink_child_ended(l, msg->pid, msg->value, false);
		break;
	case INITPROTO_GONE:
		initlink_child_ended(l, msg->pid, 9 /* As a wait status: killed by SIGKILL. */,
				     true);
		break;
	case INITPROTO_BOOT:
		l->is_pid1 = (msg->flags & INITPROTO_IS_PID1) != 0;
		l->boot_ns[0] = msg->ns[0];
		l->boot_ns[1] = msg->ns[1];
		break;
	default:
		log_warn("init", "unknown message %u from init", (unsigned int)msg->type);
		break;
	}
}

static struct list *
initlink_bucket_of(struct initlink *l, pid_t pid)
{
	return &l->buckets[(unsigned int)pid & (BUCKETS - 1)];
}

/* Handles EXIT or GONE: calls back the oldest registration of that pid. */
static void
initlink_child_ended(struct initlink *l, pid_t pid, int status, bool gone)
{
	struct initproto_msg taken = { .type = INITPROTO_TAKEN, .pid = pid };
	struct child *c = NULL;
	struct list *pos;

	list_for_each (pos, initlink_bucket_of(l, pid)) {
		c = list_entry(pos, struct child, node);
		if (c->pid == pid)
			break;
		c = NULL;
	}
	if (!gone && initlink_send(l, &taken, false) < 0)
		log_warn("init", "failed to acknowledge the status of process %d: %s", (int)pid,
			 strerror(errno));
	if (!c)
		return;
	list_remove(&c->node);
	if (c->fn)
		c->fn(status, gone, c->data);
	free(c);
}

/* Sends msg after the messages that are queued; `now`: fails rather than queues. */
static int
initlink_send(struct initlink *l, const struct initproto_msg *msg, bool now)
{
	if (l->is_lost) {
		errno = EPIPE;
		return -1;
	}
	if (initlink_flush(l) && initlink_send_now(l, msg) == 0)
		return 0;
	if (buf_len(&l->out) == 0 && !io_is_for_now(errno))
		return -1;
	if (now) {
		errno = EAGAIN;
		return -1;
	}
	if (buf_append(&l->out, msg, sizeof(*msg)) < 0)
		return -1;
	initlink_update_events(l);
	return 0;
}

void
initlink_free(struct initlink *l)
{
	struct list *pos, *tmp;

	if (!l)
		return;
	loop_unwatch(l->watch);
	for (size_t i = 0; i < BUCKETS; i++) {
		list_for_each_safe (pos, tmp, &l->buckets[i])
			free(list_entry(pos, struct child, node));
	}
	buf_release(&l->out);
	close_fd(&l->fd);
	free(l);
}

struct child *
initlink_watch(struct initlink *l, pid_t pid, child_fn *fn, void *data, struct error *err)
{
	struct initproto_msg msg = { .type = INITPROTO_REGISTER, .pid = pid };
	struct child *c = calloc(1, sizeof(*c));

	if (!c) {
		error_nomem(err, "registering a process");
		return NULL;
	}
	if (initlink_send(l, &msg, true) < 0) {
		error_sys(err, "failed to register process %d with init", (int)pid);
		free(c);
		return NULL;
	}
	*c = (struct child){ .link = l, .pid = pid, .fn = fn, .data = data };
	list_append(initlink_bucket_of(l, pid), &c->node);
	return c;
}

void
child_unwatch(struct child *c)
{
	if (!c)
		return;
	/* Kept until its exit arrives, so that the exit is not attributed to a later owner of the
	 * pid. */
	c->fn = NULL;
	c->data = NULL;
}

int
initlink_poweroff(struct initlink *l, int exit_code, struct error *err)
{
	struct initproto_msg msg = { .type = INITPROTO_POWEROFF, .value = exit_code };

	if (initlink_send(l, &msg, false) < 0)
		return error_sys(err, "failed to ask init to power off");
	return 0;
}

bool
initlink_is_pid1(const struct initlink *l)
{
	return l->is_pid1;
}

uint64_t
initlink_boot_ns(const struct initlink *l, int which)
{
	return which >= 0 && which < 2 ? l->boot_ns[which] : 0;
}
