/* SPDX-License-Identifier: Apache-2.0 */
/* Lists interfaces with their addresses, and routes, as records of network.h. Worker only: may
 * block. */
#include "agent/network/network_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "lib/cleanup.h"

/* Size of one message to the agent. */
#define SEND_MAX (60u << 10)

struct address {
	uint32_t link;
	/* Order in the kernel's listing: IPv4 before IPv6, oldest first. */
	size_t order;
	struct net_address address;
};

struct addresses {
	/* Sorted by link, then in the kernel's order. */
	struct address *list;
	size_t n, room;
};

struct listing {
	const struct net_links *links;
	struct buf *out;
	/* Number of records before this family. */
	size_t before;
	uint8_t family;
};

static struct nl_msg *list_request_addresses(const void *what);
static int list_take_address(const struct nlmsghdr *message, void *data);
static void list_forget_addresses(void *data);
static int list_order_by_link(const void *a, const void *b);
static int list_add_interfaces(struct buf *out, const struct roots *roots,
			       const struct net_links *links, const struct addresses *all);
static struct nl_msg *list_request_routes(const void *what);
static int list_take_route(const struct nlmsghdr *message, void *data);
static void list_forget_routes(void *data);

/* ---- interfaces ---- */

int
net_list_interfaces_work(struct worker *w, struct net_task *task, struct error *err)
{
	struct rtnl r;
	struct buf out;
	int result;

	if (rtnl_open(&r, err) < 0)
		return -1;
	buf_init(&out, NET_REPLY_MAX);
	result = net_read_interfaces(&r, task->roots, &out, err);
	if (result == 0)
		result = net_send(w, &out, err);
	buf_release(&out);
	rtnl_close(&r);
	return result;
}

int
net_read_interfaces(struct rtnl *r, const struct roots *roots, struct buf *out, struct error *err)
{
	struct addresses all = { 0 };
	const struct rtnl_dump dump = { list_request_addresses, NULL, list_take_address,
					list_forget_addresses, &all };
	struct net_links links = { 0 };
	int result = net_links_read(r, &links, err);

	if (result == 0 && rtnl_dump(r, &dump) < 0)
		result = rtnl_error(r, err, "failed to list the addresses");
	if (result == 0 && all.n > 0)
		qsort(all.list, all.n, sizeof(*all.list), list_order_by_link);
	if (result == 0 && list_add_interfaces(out, roots, &links, &all) < 0)
		result = error_nomem(err, "listing the interfaces");
	net_links_release(&links);
	free(all.list);
	return result;
}

static struct nl_msg *
list_request_addresses(const void *what)
{
	const struct ifaddrmsg head = { .ifa_family = AF_UNSPEC };

	(void)what;
	return rtnl_message(RTM_GETADDR, 0, &head, sizeof(head));
}

static int
list_take_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *head = nlmsg_data(message);
	struct addresses *all = data;
	struct nlattr *tb[IFA_MAX + 1], *a;
	struct address *to;

	if (nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, IFA_MAX, NULL) <
	    0) {
		errno = EBADMSG;
		return -1;
	}
	a = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (!a || (head->ifa_family != AF_INET && head->ifa_family != AF_INET6) ||
	    nla_len(a) != (int)net_address_size(head->ifa_family))
		return 0;
	if (all->n == all->room) {
		size_t room = all->room ? 2 * all->room : 64;

		to = reallocarray(all->list, room, sizeof(*to));
		if (!to)
			return -1;
		all->list = to;
		all->room = room;
	}
	to = &all->list[all->n];
	*to = (struct address){
		.link = head->ifa_index,
		.order = all->n++,
		.address = { head->ifa_family, head->ifa_prefixlen, { 0 } },
	};
	memcpy(to->address.bytes, nla_data(a), (size_t)nla_len(a));
	return 0;
}

static void
list_forget_addresses(void *data)
{
	struct addresses *all = data;

	all->n = 0;
}

static int
list_order_by_link(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	if (x->link != y->link)
		return x->link < y->link ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int
list_add_interface(struct buf *out, const struct roots *roots, const struct net_link *link,
		   const struct address *addresses, size_t n)
{
	struct net_interface_record record = {
		.flags = link->flags,
		.mtu = link->mtu,
		.n_addresses = (uint32_t)n,
		.mac = link->mac,
	};

	memcpy(record.name, link->name, sizeof(record.name));
	memcpy(record.kind, link->kind, sizeof(record.kind));
	net_path_of(roots->sys, link->name, record.device_path, sizeof(record.device_path));
	if (buf_append(out, &record, sizeof(record)) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (buf_append(out, &addresses[i].address, sizeof(addresses[i].address)) < 0)
			return -1;
	return 0;
}

/* Adds all interfaces; both lists are sorted by interface index. */
static int
list_add_interfaces(struct buf *out, const struct roots *roots, const struct net_links *links,
		    const struct addresses *all)
{
	size_t begin = 0, end;

	for (size_t i = 0; i < links->n; i++, begin = end) {
		uint32_t index = links->list[i].index;

		while (begin < all->n && all->list[begin].link < index)
			begin++;
		for (end = begin; end < all->n && all->list[end].link == index;)
			end++;
		if (list_add_interface(out, roots, &links->list[i], &all->list[begin],
				       end - begin) < 0)
			return -1;
	}
	return 0;
}

/* ---- routes ---- */

int
net_list_routes_work(struct worker *w, struct net_task *task, struct error *err)
{
	struct net_links links = { 0 };
	struct rtnl r;
	int result;

	(void)task;
	if (rtnl_open(&r, err) < 0)
		return -1;
	result = net_links_read(&r, &links, err);
	if (result == 0)
		result = net_send_routes(w, &r, &links, err);
	net_links_release(&links);
	rtnl_close(&r);
	return result;
}

int
net_send_routes(struct worker *w, struct rtnl *r, const struct net_links *links, struct error *err)
{
	struct buf out;
	int result;

	buf_init(&out, NET_REPLY_MAX);
	result = net_read_routes(r, links, &out, err);
	if (result == 0)
		result = net_send(w, &out, err);
	buf_release(&out);
	return result;
}

int
net_read_routes(struct rtnl *r, const struct net_links *links, struct buf *out, struct error *err)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct listing l = { .links = links, .out = out };
	const struct rtnl_dump dump = { list_request_routes, &l.family, list_take_route,
					list_forget_routes, &l };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		l.family = families[i];
		l.before = buf_len(out);
		if (rtnl_dump(r, &dump) < 0)
			return rtnl_error(r, err, "failed to list the routes");
	}
	return 0;
}

static struct nl_msg *
list_request_routes(const void *what)
{
	const struct rtmsg head = { .rtm_family = *(const uint8_t *)what };

	return rtnl_message(RTM_GETROUTE, 0, &head, sizeof(head));
}

static void
list_take_bytes(struct net_address *to, uint8_t family, uint8_t len, const void *bytes, int size)
{
	if (size != (int)net_address_size(family))
		return;
	*to = (struct net_address){ family, len, { 0 } };
	memcpy(to->bytes, bytes, (size_t)size);
}

/* Takes the gateway from the attributes of a route, or of one of its next hops. */
static void
list_take_gateway(struct net_route_record *record, uint8_t family, const struct nlattr *gateway,
		  const struct nlattr *via)
{
	const struct rtvia *v;

	if (gateway)
		list_take_bytes(&record->gateway, family, (uint8_t)net_address_bits(family),
				nla_data(gateway), nla_len(gateway));
	if (!via || nla_len(via) < (int)sizeof(*v))
		return;
	v = nla_data(via);
	if (v->rtvia_family == AF_INET || v->rtvia_family == AF_INET6)
		list_take_bytes(&record->gateway, (uint8_t)v->rtvia_family,
				(uint8_t)net_address_bits((uint8_t)v->rtvia_family), v->rtvia_addr,
				nla_len(via) - (int)sizeof(*v));
}

static int
list_add_hop(struct listing *l, struct net_route_record *record, uint32_t index)
{
	const struct net_link *link = net_links_by_index(l->links, index);

	/* An interface that has appeared since is listed next time. */
	if (!link)
		return 0;
	memcpy(record->device, link->name, sizeof(record->device));
	return buf_append(l->out, record, sizeof(*record));
}

static int
list_add_hops(struct listing *l, const struct net_route_record *route, const struct nlattr *hops)
{
	const struct rtnexthop *hop = nla_data(hops);
	int left = nla_len(hops);

	for (; rtnl_has_hop(hop, left); left -= NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		int size = (int)hop->rtnh_len - (int)sizeof(*hop);
		const struct nlattr *attrs = (const struct nlattr *)(const void *)RTNH_DATA(hop);
		struct net_route_record record = *route;

		record.flags = hop->rtnh_flags;
		list_take_gateway(&record, route->destination.family,
				  nla_find(attrs, size, RTA_GATEWAY),
				  nla_find(attrs, size, RTA_VIA));
		if (list_add_hop(l, &record, (uint32_t)hop->rtnh_ifindex) < 0)
			return -1;
	}
	return 0;
}

static int
list_take_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *head = nlmsg_data(message);
	struct nlattr *tb[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	struct listing *l = data;
	struct net_route_record record;
	uint8_t family;

	if (nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, RTA_MAX, NULL) <
	    0) {
		errno = EBADMSG;
		return -1;
	}
	family = head->rtm_family;
	if (family != l->family || head->rtm_table != RT_TABLE_MAIN ||
	    head->rtm_type != RTN_UNICAST || head->rtm_flags & RTM_F_CLONED)
		return 0;
	record = (struct net_route_record){
		.destination = { .family = family, .len = head->rtm_dst_len },
		/* RTNH_F_*, without RTM_F_* */
		.flags = head->rtm_flags & 0xffu,
		.scope = head->rtm_scope,
	};
	if (tb[RTA_DST])
		list_take_bytes(&record.destination, family, head->rtm_dst_len,
				nla_data(tb[RTA_DST]), nla_len(tb[RTA_DST]));
	if (tb[RTA_SRC])
		list_take_bytes(&record.source, family, head->rtm_src_len, nla_data(tb[RTA_SRC]),
				nla_len(tb[RTA_SRC]));
	if (tb[RTA_PREFSRC])
		list_take_bytes(&record.source, family, (uint8_t)net_address_bits(family),
				nla_data(tb[RTA_PREFSRC]), nla_len(tb[RTA_PREFSRC]));
	if (tb[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) == 0 &&
	    metrics[RTAX_MTU])
		record.mtu = rtnl_u32(metrics[RTAX_MTU]);
	if (tb[RTA_MULTIPATH])
		return list_add_hops(l, &record, tb[RTA_MULTIPATH]);
	list_take_gateway(&record, family, tb[RTA_GATEWAY], tb[RTA_VIA]);
	return tb[RTA_OIF] ? list_add_hop(l, &record, rtnl_u32(tb[RTA_OIF])) : 0;
}

static void
list_forget_routes(void *data)
{
	struct listing *l = data;

	l->out->len = l->before;
}

/* ---- the reply ---- */

int
net_send(struct worker *w, const struct buf *data, struct error *err)
{
	const uint8_t *at = buf_head(data);
	size_t left = buf_len(data);

	while (left > 0) {
		size_t n = left < SEND_MAX ? left : SEND_MAX;

		if (worker_send(w, NET_MESSAGE_DATA, at, n, NULL, 0, false, err) < 0)
			return -1;
		at += n;
		left -= n;
	}
	return 0;
}
