/* SPDX-License-Identifier: Apache-2.0 */
/* Reads interfaces. Called by the workers of agent/network. */
#include "agent/network/links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

static struct nl_msg *links_request_all(const void *what);
static struct nl_msg *links_request(const char *name, uint32_t index);
static int links_add(const struct nlmsghdr *message, void *data);
static int links_parse(const struct nlmsghdr *message, struct net_link *out);
static void links_forget(void *data);
static int links_order_by_index(const void *a, const void *b);
static int links_order_by_name(const void *a, const void *b);

int
net_links_read(struct rtnl *r, struct net_links *out, struct error *err)
{
	struct net_links links = { 0 };
	const struct rtnl_dump dump = {
		.make = links_request_all,
		.each = links_add,
		.reset = links_forget,
		.data = &links,
	};

	if (rtnl_dump(r, &dump) < 0) {
		free(links.list);
		return rtnl_error(r, err, "failed to list the interfaces");
	}
	links.by_name = calloc(links.n + 1, sizeof(*links.by_name));
	if (!links.by_name) {
		free(links.list);
		return error_nomem(err, "listing the interfaces");
	}
	if (links.n > 0)
		qsort(links.list, links.n, sizeof(*links.list), links_order_by_index);
	for (size_t i = 0; i < links.n; i++)
		links.by_name[i] = &links.list[i];
	qsort(links.by_name, links.n, sizeof(*links.by_name), links_order_by_name);
	*out = links;
	return 0;
}

static struct nl_msg *
links_request_all(const void *what)
{
	(void)what;
	return links_request(NULL, 0);
}

/* Makes a request without statistics, which are most of a link's message and unused here. name NULL
 * and index 0: all links. */
static struct nl_msg *
links_request(const char *name, uint32_t index)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	struct nl_msg *msg = rtnl_message(RTM_GETLINK, 0, &head, sizeof(head));

	if (msg && rtnl_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) &&
	    (!name || rtnl_put_text(msg, IFLA_IFNAME, name)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int
links_add(const struct nlmsghdr *message, void *data)
{
	struct net_links *links = data;

	if (links->n == links->room) {
		size_t room = links->room ? 2 * links->room : 16;
		struct net_link *list = reallocarray(links->list, room, sizeof(*list));

		if (!list)
			return -1;
		links->list = list;
		links->room = room;
	}
	if (links_parse(message, &links->list[links->n]) < 0)
		return -1;
	links->n++;
	return 0;
}

static void
links_take_text(char *out, size_t size, const struct nlattr *a)
{
	if (a)
		(void)snprintf(out, size, "%.*s", nla_len(a), (const char *)nla_data(a));
}

/* Parses a link message. Returns -1 and errno if it is not one. */
static int
links_parse(const struct nlmsghdr *message, struct net_link *out)
{
	const struct ifinfomsg *head = nlmsg_data(message);
	struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];

	if (message->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, IFLA_MAX, NULL) <
		    0) {
		errno = EBADMSG;
		return -1;
	}
	*out = (struct net_link){
		.index = (uint32_t)head->ifi_index,
		.flags = head->ifi_flags,
		.type = head->ifi_type,
		.mtu = rtnl_u32(tb[IFLA_MTU]),
		.master = rtnl_u32(tb[IFLA_MASTER]),
		/* In another namespace, such as the other end of a veth. */
		.lower = tb[IFLA_LINK_NETNSID] ? 0 : rtnl_u32(tb[IFLA_LINK]),
	};
	links_take_text(out->name, sizeof(out->name), tb[IFLA_IFNAME]);
	/* A MAC address that does not fit is treated as unknown. */
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) <= NET_MAC_MAX) {
		out->mac.len = (uint8_t)nla_len(tb[IFLA_ADDRESS]);
		memcpy(out->mac.bytes, nla_data(tb[IFLA_ADDRESS]), out->mac.len);
	}
	if (tb[IFLA_LINKINFO] &&
	    nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) == 0)
		links_take_text(out->kind, sizeof(out->kind), info[IFLA_INFO_KIND]);
	return 0;
}

static void
links_forget(void *data)
{
	struct net_links *links = data;

	links->n = 0;
}

static int
links_order_by_index(const void *a, const void *b)
{
	const struct net_link *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int
links_order_by_name(const void *a, const void *b)
{
	const struct net_link *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void
net_links_release(struct net_links *links)
{
	free(links->list);
	free(links->by_name);
	*links = (struct net_links){ 0 };
}

const struct net_link *
net_links_by_index(const struct net_links *links, uint32_t index)
{
	const struct net_link key = { .index = index };

	return links->n == 0
		       ? NULL
		       : bsearch(&key, links->list, links->n, sizeof(key), links_order_by_index);
}

const struct net_link *
net_links_by_name(const struct net_links *links, const char *name)
{
	struct net_link key = { 0 };
	const struct net_link *p = &key, *const * found;

	if (strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name));
	found = bsearch(&p, links->by_name, links->n, sizeof(p), links_order_by_name);
	return found ? *found : NULL;
}

static int
links_take_one(const struct nlmsghdr *message, void *data)
{
	return links_parse(message, data);
}

int
net_link_get(struct rtnl *r, const char *name, struct net_link *out, struct error *err)
{
	if (rtnl_get(r, links_request(name, 0), links_take_one, out) == 0)
		return 0;
	return errno == ENODEV ? 1 : rtnl_error(r, err, "failed to find interface %s", name);
}

int
net_link_get_at(struct rtnl *r, uint32_t index, struct net_link *out, struct error *err)
{
	if (rtnl_get(r, links_request(NULL, index), links_take_one, out) == 0)
		return 0;
	return errno == ENODEV ? 1 : rtnl_error(r, err, "failed to find interface %u", index);
}

struct nl_msg *
net_link_change(uint32_t index, uint32_t flags, uint32_t mask)
{
	const struct ifinfomsg head = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = (int)index,
		.ifi_flags = flags,
		.ifi_change = mask,
	};

	return rtnl_message(RTM_NEWLINK, 0, &head, sizeof(head));
}
