/* SPDX-License-Identifier: Apache-2.0 */
/* Sets the addresses of an interface to exactly those requested. Worker only: may block. Called by
 * interface.c. */
#include "agent/network/network_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "lib/io.h"

/* The addresses that an interface has. */
struct present {
	uint32_t link;
	struct net_address *list;
	size_t n, room;
};

static struct nl_msg *addresses_request(const void *what);
static int addresses_take(const struct nlmsghdr *message, void *data);
static void addresses_forget(void *data);
static int addresses_remove_stale(struct rtnl *r, const struct net_link *link,
				  const struct net_interface *wanted, const struct present *p,
				  struct error *err);
static struct nl_msg *addresses_message(uint16_t type, int flags, uint32_t link,
					const struct net_address *a);

int
net_addresses_apply(struct worker *w, struct rtnl *r, const struct net_link *link,
		    const struct net_interface *wanted, bool ipv6_is_off, struct error *err)
{
	struct present present = { .link = link->index };
	const struct rtnl_dump dump = { addresses_request, &present.link, addresses_take,
					addresses_forget, &present };
	char text[NET_ADDRESS_TEXT];
	int result;

	if (rtnl_dump(r, &dump) < 0) {
		free(present.list);
		return rtnl_error(r, err, "failed to list the addresses of %s", link->name);
	}
	result = addresses_remove_stale(r, link, wanted, &present, err);
	free(present.list);
	for (size_t i = 0; result == 0 && i < wanted->n_addresses; i++) {
		const struct net_address *a = &wanted->addresses[i];

		net_format_prefix(a, text);
		if (a->family == AF_INET6 && ipv6_is_off) {
			worker_log(w, LOG_LEVEL_WARN,
				   "%s: skipping address %s: IPv6 is disabled in the guest",
				   link->name, text);
			continue;
		}
		if (rtnl_talk(r, addresses_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
						   link->index, a)) < 0)
			result = rtnl_error(r, err, "%s: failed to add address %s", link->name,
					    text);
	}
	return result;
}

static struct nl_msg *
addresses_request(const void *what)
{
	const struct ifaddrmsg head = { .ifa_index = *(const uint32_t *)what };

	return rtnl_message(RTM_GETADDR, 0, &head, sizeof(head));
}

/* Returns whether the address was added explicitly, not by the kernel or a router. */
static bool
addresses_is_set_by_hand(const struct ifaddrmsg *head, const struct nlattr *flags)
{
	uint32_t all = flags ? rtnl_u32(flags) : head->ifa_flags;

	if (!(all & IFA_F_PERMANENT))
		return false;
	return head->ifa_family == AF_INET || head->ifa_scope != RT_SCOPE_LINK;
}

static int
addresses_take(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *head = nlmsg_data(message);
	struct present *p = data;
	struct nlattr *tb[IFA_MAX + 1], *a;
	struct net_address *list;

	if (nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, IFA_MAX, NULL) <
	    0) {
		errno = EBADMSG;
		return -1;
	}
	a = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (head->ifa_index != p->link || !a || !addresses_is_set_by_hand(head, tb[IFA_FLAGS]) ||
	    (head->ifa_family != AF_INET && head->ifa_family != AF_INET6) ||
	    nla_len(a) != (int)net_address_size(head->ifa_family))
		return 0;
	if (p->n == p->room) {
		list = reallocarray(p->list, p->room + 32, sizeof(*list));
		if (!list)
			return -1;
		p->list = list;
		p->room += 32;
	}
	p->list[p->n] = (struct net_address){ head->ifa_family, head->ifa_prefixlen, { 0 } };
	memcpy(p->list[p->n++].bytes, nla_data(a), (size_t)nla_len(a));
	return 0;
}

static void
addresses_forget(void *data)
{
	struct present *p = data;

	p->n = 0;
}

static bool
addresses_is_wanted(const struct net_interface *wanted, const struct net_address *a)
{
	for (size_t i = 0; i < wanted->n_addresses; i++)
		if (net_address_compare(&wanted->addresses[i], a) == 0)
			return true;
	return false;
}

static int
addresses_remove_stale(struct rtnl *r, const struct net_link *link,
		       const struct net_interface *wanted, const struct present *p,
		       struct error *err)
{
	char text[NET_ADDRESS_TEXT];

	for (size_t i = 0; i < p->n; i++) {
		if (addresses_is_wanted(wanted, &p->list[i]))
			continue;
		/* It may be gone along with another address of its subnet. */
		if (rtnl_talk(r, addresses_message(RTM_DELADDR, 0, link->index, &p->list[i])) < 0 &&
		    r->errnum != EADDRNOTAVAIL)
			return rtnl_error(r, err, "failed to remove address %s of %s",
					  net_format_prefix(&p->list[i], text), link->name);
	}
	return 0;
}

/* Adds the broadcast address, the last one of the prefix; prefixes of 31 and 32 bits have none. */
static bool
addresses_put_broadcast(struct nl_msg *msg, const struct net_address *a)
{
	struct net_address last = *a;

	if (a->family != AF_INET || a->len > 30)
		return true;
	net_mask_prefix(&last);
	for (unsigned int bit = a->len; bit < 32; bit++)
		last.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return rtnl_put(msg, IFA_BROADCAST, last.bytes, 4);
}

/* Makes an address request. IPv6 addresses are chosen by the host and used at once, without
 * duplicate address detection: the host's own end of the link may have the same address, and for a
 * second a route with this source would be refused. */
static struct nl_msg *
addresses_message(uint16_t type, int flags, uint32_t link, const struct net_address *a)
{
	const struct ifaddrmsg head = {
		.ifa_family = a->family,
		.ifa_prefixlen = a->len,
		.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = link,
	};
	struct nl_msg *msg = rtnl_message(type, flags, &head, sizeof(head));
	size_t size = net_address_size(a->family);

	if (rtnl_put(msg, IFA_LOCAL, a->bytes, size) &&
	    rtnl_put(msg, IFA_ADDRESS, a->bytes, size) &&
	    (type == RTM_DELADDR || addresses_put_broadcast(msg, a)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

bool
net_ipv6_is_off(const struct roots *roots)
{
	static const char *const keys[] = { "sys/net/ipv6/conf/all/disable_ipv6",
					    "sys/net/ipv6/conf/default/disable_ipv6" };
	char text[16];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (read_text_at(roots->proc, keys[i], text, sizeof(text)) > 0 &&
		    strcmp(text, "0") == 0)
			return false;
	return true;
}
