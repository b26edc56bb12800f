/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of rtnetlink(7). The first byte selects the request; the rest is datagrams, each preceded
 * by its length in two bytes. libnl's socket is real, but what it sends is dropped, and what it
 * receives is the input. For any answer of the kernel, the resulting records are complete and
 * belong to devices that it named.
 */
#include <errno.h>
#include <string.h>

#include <linux/rtnetlink.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "agent/network/events.h"
#include "agent/network/network_internal.h"
#include "agent/network/snapshot.h"
#include "tests/fuzz/target.h"

#define DATAGRAMS_MAX 64

/* The remaining input. libnl's callbacks have no argument that identifies it. */
static const uint8_t *left;
static size_t n_left;
static uint32_t sequence;
static unsigned int received;

static int
drop(struct nl_sock *sock, struct nl_msg *msg)
{
	(void)sock;
	sequence = nlmsg_hdr(msg)->nlmsg_seq;
	return (int)nlmsg_hdr(msg)->nlmsg_len;
}

/* Each message gets the sequence number of the last request; libnl would otherwise ignore it. */
static void
answer(uint8_t *bytes, size_t n)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)bytes;
	int size = (int)n;

	for (; nlmsg_ok(h, size); h = nlmsg_next(h, &size))
		h->nlmsg_seq = sequence;
}

/* Replaces nl_recv(): returns a datagram in an exact heap allocation, or 0 at the end. */
static int
receive(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **bytes, struct ucred **creds)
{
	size_t n;

	(void)sock;
	(void)creds;
	if (n_left < 2 || received++ >= DATAGRAMS_MAX)
		return 0;
	n = (size_t)left[0] | (size_t)(left[1] & 0x1f) << 8;
	left += 2;
	n_left -= 2;
	if (n > n_left)
		n = n_left;
	if (n == 0)
		return 0;
	*from = (struct sockaddr_nl){ .nl_family = AF_NETLINK };
	*bytes = malloc(n);
	MUST(*bytes);
	memcpy(*bytes, left, n);
	answer(*bytes, n);
	left += n;
	n_left -= n;
	return (int)n;
}

static struct rtnl *
talker(void)
{
	static struct rtnl r;
	struct error err = ERROR_INIT;

	if (!r.sock) {
		struct nl_cb *cb;

		MUST(rtnl_open(&r, &err) == 0);
		cb = nl_socket_get_cb(r.sock);
		nl_cb_overwrite_recv(cb, receive);
		nl_cb_overwrite_send(cb, drop);
		nl_cb_put(cb);
	}
	return &r;
}

static void
expect_name(const char *name)
{
	MUST(strnlen(name, IFNAMSIZ) < IFNAMSIZ);
}

static void
expect_address(const struct net_address *a)
{
	MUST(a->family == 0 || a->family == AF_INET || a->family == AF_INET6);
}

static void
interfaces(struct rtnl *r)
{
	static const struct roots roots = { .sys = -1 };
	struct net_interface_record record;
	struct error err = ERROR_INIT;
	struct net_address address;
	struct buf out;

	buf_init(&out, NET_REPLY_MAX);
	if (net_read_interfaces(r, &roots, &out, &err) < 0)
		MUST(*err.msg);
	while (*err.msg == '\0' && buf_len(&out) > 0) {
		MUST(buf_len(&out) >= sizeof(record));
		memcpy(&record, buf_head(&out), sizeof(record));
		buf_consume(&out, sizeof(record));
		expect_name(record.name);
		MUST(record.mac.len <= NET_MAC_MAX);
		for (uint32_t i = 0; i < record.n_addresses; i++) {
			MUST(buf_len(&out) >= sizeof(address));
			memcpy(&address, buf_head(&out), sizeof(address));
			buf_consume(&out, sizeof(address));
			expect_address(&address);
		}
	}
	buf_release(&out);
}

/* Reads the links first, then their routes. */
static void
routes(struct rtnl *r)
{
	struct net_links links = { 0 };
	struct net_route_record record;
	struct error err = ERROR_INIT;
	struct buf out;

	if (net_links_read(r, &links, &err) < 0)
		return;
	buf_init(&out, NET_REPLY_MAX);
	if (net_read_routes(r, &links, &out, &err) == 0) {
		MUST(buf_len(&out) % sizeof(record) == 0);
		while (buf_len(&out) > 0) {
			memcpy(&record, buf_head(&out), sizeof(record));
			buf_consume(&out, sizeof(record));
			MUST(net_links_by_name(&links, record.device));
			expect_address(&record.destination);
			expect_address(&record.gateway);
			expect_address(&record.source);
		}
	}
	buf_release(&out);
	net_links_release(&links);
}

static void
snapshot(struct rtnl *r, uint32_t link)
{
	static const struct net_address all[] = { { .family = AF_INET }, { .family = AF_INET6 } };
	const struct net_snapshot_of of = {
		.destinations = all,
		.n_destinations = link ? 0 : 2,
		.link = link,
	};
	struct error err = ERROR_INIT;
	struct net_snapshot s;

	if (net_snapshot_take(r, &of, &s, &err) < 0)
		return;
	(void)net_snapshot_restore(r, &s, &err);
	net_snapshot_release(&s);
}

static void
one_link(struct rtnl *r)
{
	struct net_link link = { 0 };
	struct error err = ERROR_INIT;

	if (net_link_get(r, "eth0", &link, &err) == 0) {
		expect_name(link.name);
		MUST(strnlen(link.kind, sizeof(link.kind)) < sizeof(link.kind));
		MUST(link.mac.len <= NET_MAC_MAX);
	}
}

static void
on_interface(const struct net_mac *mac, void *data)
{
	(void)data;
	MUST(!mac || mac->len <= NET_MAC_MAX);
}

static void
events(const uint8_t *data, size_t size)
{
	void *bytes = malloc(size ? size : 1);

	MUST(bytes);
	memcpy(bytes, data, size);
	net_events_parse(bytes, (int)size, on_interface, NULL);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtnl *r = talker();

	if (size == 0)
		return 0;
	left = data + 1;
	n_left = size - 1;
	received = 0;
	switch (data[0] % 6) {
	case 0:
		interfaces(r);
		break;
	case 1:
		routes(r);
		break;
	case 2:
		snapshot(r, 0);
		break;
	case 3:
		snapshot(r, 2);
		break;
	case 4:
		one_link(r);
		break;
	default:
		events(left, n_left);
		break;
	}
	return 0;
}
