/* SPDX-License-Identifier: Apache-2.0 */
/* Receives the kernel's link events. Called by network.c. */
#include "agent/network/events.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "lib/cleanup.h"

/* Events handled in one turn of the loop: frequent link changes must not occupy it. */
#define EVENTS_A_TURN 64

static void events_on_readable(uint32_t events, void *data);

void
net_events_init(struct net_events *e, struct loop *loop, net_events_fn *fn, void *data)
{
	*e = (struct net_events){ .loop = loop, .fn = fn, .data = data, .fd = -1 };
}

int
net_events_begin(struct net_events *e, struct error *err)
{
	const struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	auto_close int fd = -1;

	if (e->n > 0) {
		e->n++;
		return 0;
	}
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_sys(err, "failed to subscribe to link events");
	e->watch = loop_watch(e->loop, fd, EPOLLIN, events_on_readable, e, err);
	if (!e->watch)
		return -1;
	e->fd = steal_fd(&fd);
	e->n = 1;
	return 0;
}

/* fn may call net_events_end(). */
static void
events_on_readable(uint32_t events, void *data)
{
	struct net_events *e = data;
	_Alignas(struct nlmsghdr) char bytes[16384];

	(void)events;
	for (int i = 0; e->n > 0 && i < EVENTS_A_TURN; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t size = recvfrom(e->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC,
					(struct sockaddr *)&from, &from_len);

		if (size < 0 && errno == EINTR)
			continue;
		if ((size < 0 && errno == ENOBUFS) || size > (ssize_t)sizeof(bytes)) {
			/* Some event could not be read. */
			e->fn(NULL, e->data);
			continue;
		}
		if (size <= 0)
			return;
		/* Only messages from the kernel: port 0. */
		if (from_len >= sizeof(from) && from.nl_pid == 0)
			net_events_parse(bytes, (int)size, e->fn, e->data);
	}
}

void
net_events_parse(void *bytes, int size, net_events_fn *fn, void *data)
{
	struct nlmsghdr *message = bytes;

	for (; nlmsg_ok(message, size); message = nlmsg_next(message, &size)) {
		struct net_mac mac = { 0 };
		struct nlattr *a;

		if (message->nlmsg_type != RTM_NEWLINK)
			continue;
		a = nlmsg_find_attr(message, sizeof(struct ifinfomsg), IFLA_ADDRESS);
		if (a && nla_len(a) <= NET_MAC_MAX) {
			mac.len = (uint8_t)nla_len(a);
			memcpy(mac.bytes, nla_data(a), mac.len);
		}
		fn(&mac, data);
	}
}

void
net_events_end(struct net_events *e)
{
	if (--e->n > 0)
		return;
	loop_unwatch(e->watch);
	e->watch = NULL;
	close_fd(&e->fd);
}
