/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of routes. Routes are kept as the kernel reports them, without the kernel's state, so
 * that they can be compared byte by byte and sent back. Called by routes.c and interface.c.
 */
#include "agent/network/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "lib/cleanup.h"

#define SNAPSHOT_MAX ((size_t)64 << 20)

/* The flags that may be set in a request; the kernel refuses the others. */
#define KEPT_FLAGS ((unsigned int)(RTNH_F_ONLINK | RTNH_F_PERVASIVE))

/* A dump of one family, and the size before it. A kernel without IPv6 replies with IPv4 again. */
struct reading {
	struct net_snapshot *s;
	uint8_t family;
	size_t n, len;
};

static struct nl_msg *snapshot_dump_request(const void *what);
static int snapshot_take_route(const struct nlmsghdr *message, void *data);
static void snapshot_forget(void *data);
static const struct nlmsghdr **snapshot_sorted(const struct net_snapshot *s);
static bool snapshot_has(const struct nlmsghdr **list, size_t n, const struct nlmsghdr *message);
static int snapshot_add_missing(struct rtnl *r, const struct net_snapshot *former,
				const struct nlmsghdr **present, size_t n_present,
				struct error *err);
static int snapshot_send_as(struct rtnl *r, const struct nlmsghdr *message, uint16_t type,
			    uint16_t flags);

int
net_snapshot_take(struct rtnl *r, const struct net_snapshot_of *of, struct net_snapshot *out,
		  struct error *err)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	*out = (struct net_snapshot){ .of = of };
	buf_init(&out->messages, SNAPSHOT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct reading reading = {
			.s = out,
			.family = families[i],
			.n = out->n,
			.len = buf_len(&out->messages),
		};
		const struct rtnl_dump dump = {
			.make = snapshot_dump_request,
			.what = &families[i],
			.each = snapshot_take_route,
			.reset = snapshot_forget,
			.data = &reading,
		};

		if (rtnl_dump(r, &dump) < 0) {
			net_snapshot_release(out);
			return rtnl_error(r, err, "failed to read the routing table");
		}
	}
	return 0;
}

static struct nl_msg *
snapshot_dump_request(const void *what)
{
	const struct rtmsg head = { .rtm_family = *(const uint8_t *)what };

	return rtnl_message(RTM_GETROUTE, 0, &head, sizeof(head));
}

static bool
snapshot_leaves_by(struct nlattr **tb, uint32_t link)
{
	const struct rtnexthop *hop;
	int left;

	if (tb[RTA_OIF])
		return rtnl_u32(tb[RTA_OIF]) == link;
	if (!tb[RTA_MULTIPATH])
		return false;
	hop = nla_data(tb[RTA_MULTIPATH]);
	left = nla_len(tb[RTA_MULTIPATH]);
	for (; rtnl_has_hop(hop, left); left -= NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		if ((uint32_t)hop->rtnh_ifindex == link)
			return true;
	return false;
}

static int
snapshot_order_by_address(const void *a, const void *b)
{
	return net_address_compare(a, b);
}

static bool
snapshot_is_wanted(const struct net_snapshot_of *of, const struct rtmsg *head, struct nlattr **tb)
{
	struct net_address key = { .family = head->rtm_family, .len = head->rtm_dst_len };

	if (head->rtm_flags & RTM_F_CLONED)
		return false;
	if (of->link)
		return head->rtm_protocol != RTPROT_KERNEL && snapshot_leaves_by(tb, of->link);
	if (head->rtm_table != RT_TABLE_MAIN)
		return false;
	if (tb[RTA_DST] && nla_len(tb[RTA_DST]) <= (int)sizeof(key.bytes))
		memcpy(key.bytes, nla_data(tb[RTA_DST]), (size_t)nla_len(tb[RTA_DST]));
	return of->n_destinations > 0 && bsearch(&key, of->destinations, of->n_destinations,
						 sizeof(key), snapshot_order_by_address) != NULL;
}

/* Returns whether the attribute is kept: a next hop is described by an object or in full, never
 * both. */
static bool
snapshot_is_kept(int type, bool has_object)
{
	switch (type) {
	case RTA_CACHEINFO:
		return false;
	case RTA_GATEWAY:
	case RTA_VIA:
	case RTA_OIF:
	case RTA_MULTIPATH:
	case RTA_ENCAP:
	case RTA_ENCAP_TYPE:
		return !has_object;
	default:
		return true;
	}
}

/* Copies an attribute, clearing state flags of next hops. */
static bool
snapshot_copy(struct nl_msg *msg, const struct nlattr *from)
{
	struct nlattr *to = nla_reserve(msg, nla_type(from), nla_len(from));
	struct rtnexthop *hop;
	int left;

	if (!to)
		return false;
	memcpy(nla_data(to), nla_data(from), (size_t)nla_len(from));
	if (nla_type(from) != RTA_MULTIPATH)
		return true;
	hop = nla_data(to);
	left = nla_len(to);
	for (; rtnl_has_hop(hop, left); left -= NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		hop->rtnh_flags &= KEPT_FLAGS;
	return true;
}

static struct nl_msg *
snapshot_request_for(const struct rtmsg *from, struct nlattr **tb)
{
	struct rtmsg head = *from;
	struct nl_msg *msg;

	head.rtm_flags &= KEPT_FLAGS;
	msg = rtnl_message(RTM_NEWROUTE, 0, &head, sizeof(head));
	for (int type = 1; msg && type <= RTA_MAX; type++) {
		if (!tb[type] || !snapshot_is_kept(type, tb[RTA_NH_ID] != NULL) ||
		    snapshot_copy(msg, tb[type]))
			continue;
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

static int
snapshot_keep(struct net_snapshot *s, const struct nlmsghdr *message)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		size_t *at = reallocarray(s->at, room, sizeof(*at));

		if (!at)
			return -1;
		s->at = at;
		s->room = room;
	}
	s->at[s->n] = buf_len(&s->messages);
	/* Padded to a multiple of four, as libnl pads what it sends. */
	if (buf_append(&s->messages, message, NLMSG_ALIGN(message->nlmsg_len)) < 0)
		return -1;
	s->n++;
	return 0;
}

static int
snapshot_take_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *head = nlmsg_data(message);
	const struct reading *reading = data;
	struct net_snapshot *s = reading->s;
	struct nlattr *tb[RTA_MAX + 1];
	struct nl_msg *msg;
	int result;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, RTA_MAX, NULL) <
		    0) {
		errno = EBADMSG;
		return -1;
	}
	if (head->rtm_family != reading->family || !snapshot_is_wanted(s->of, head, tb))
		return 0;
	msg = snapshot_request_for(head, tb);
	if (!msg) {
		errno = ENOMEM;
		return -1;
	}
	result = snapshot_keep(s, nlmsg_hdr(msg));
	nlmsg_free(msg);
	return result;
}

/* Drops the messages of this family, because its dump starts over. */
static void
snapshot_forget(void *data)
{
	struct reading *reading = data;

	reading->s->n = reading->n;
	reading->s->messages.len = reading->len;
}

void
net_snapshot_release(struct net_snapshot *s)
{
	buf_release(&s->messages);
	free(s->at);
	*s = (struct net_snapshot){ 0 };
}

/* ---- restore ---- */

static const struct nlmsghdr *
snapshot_message_at(const struct net_snapshot *s, size_t i)
{
	return (const struct nlmsghdr *)(const void *)(buf_head(&s->messages) + s->at[i]);
}

int
net_snapshot_restore(struct rtnl *r, const struct net_snapshot *former, struct error *err)
{
	struct net_snapshot now;
	auto_free const struct nlmsghdr **present = NULL;
	auto_free const struct nlmsghdr **wanted = NULL;
	int result = 0;

	if (net_snapshot_take(r, former->of, &now, err) < 0)
		return -1;
	present = snapshot_sorted(&now);
	wanted = snapshot_sorted(former);
	if (!present || !wanted) {
		net_snapshot_release(&now);
		return error_nomem(err, "restoring routes");
	}
	for (size_t i = 0; !former->of->link && i < now.n; i++) {
		const struct nlmsghdr *message = snapshot_message_at(&now, i);

		if (snapshot_has(wanted, former->n, message))
			continue;
		if (snapshot_send_as(r, message, RTM_DELROUTE, 0) < 0 && r->errnum != ESRCH &&
		    result == 0)
			result = rtnl_error(r, err, "failed to remove a new route");
	}
	if (snapshot_add_missing(r, former, present, now.n, result ? &ERROR_INIT : err) < 0)
		result = -1;
	net_snapshot_release(&now);
	return result;
}

static int
snapshot_order_by_content(const void *a, const void *b)
{
	const struct nlmsghdr *x = *(const struct nlmsghdr *const *)a;
	const struct nlmsghdr *y = *(const struct nlmsghdr *const *)b;

	if (x->nlmsg_len != y->nlmsg_len)
		return x->nlmsg_len < y->nlmsg_len ? -1 : 1;
	return memcmp(nlmsg_data(x), nlmsg_data(y), x->nlmsg_len - NLMSG_HDRLEN);
}

/* Returns the snapshot's messages sorted by content, NULL if out of memory. */
static const struct nlmsghdr **
snapshot_sorted(const struct net_snapshot *s)
{
	const struct nlmsghdr **list = calloc(s->n + 1, sizeof(*list));

	for (size_t i = 0; list && i < s->n; i++)
		list[i] = snapshot_message_at(s, i);
	if (list)
		qsort(list, s->n, sizeof(*list), snapshot_order_by_content);
	return list;
}

static bool
snapshot_has(const struct nlmsghdr **list, size_t n, const struct nlmsghdr *message)
{
	return n > 0 &&
	       bsearch(&message, list, n, sizeof(*list), snapshot_order_by_content) != NULL;
}

static bool
snapshot_has_gateway(const struct nlmsghdr *message)
{
	return nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)message, sizeof(struct rtmsg),
			       RTA_GATEWAY) ||
	       nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)message, sizeof(struct rtmsg),
			       RTA_VIA) ||
	       nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)message, sizeof(struct rtmsg),
			       RTA_MULTIPATH);
}

/* Adds the missing routes in the kernel's order; routes with gateways last, since gateways are
 * looked up. */
static int
snapshot_add_missing(struct rtnl *r, const struct net_snapshot *former,
		     const struct nlmsghdr **present, size_t n_present, struct error *err)
{
	int result = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < former->n; i++) {
			const struct nlmsghdr *message = snapshot_message_at(former, i);

			if (snapshot_has_gateway(message) != (pass == 1) ||
			    snapshot_has(present, n_present, message))
				continue;
			if (snapshot_send_as(r, message, RTM_NEWROUTE,
					     NLM_F_CREATE | NLM_F_APPEND) < 0 &&
			    r->errnum != EEXIST && result == 0)
				result = rtnl_error(r, err, "failed to restore a route");
		}
	}
	return result;
}

static int
snapshot_send_as(struct rtnl *r, const struct nlmsghdr *message, uint16_t type, uint16_t flags)
{
	struct nl_msg *msg = nlmsg_convert((struct nlmsghdr *)(uintptr_t)message);

	if (msg) {
		nlmsg_hdr(msg)->nlmsg_type = type;
		nlmsg_hdr(msg)->nlmsg_flags = flags;
		nlmsg_hdr(msg)->nlmsg_seq = 0;
		nlmsg_hdr(msg)->nlmsg_pid = 0;
	}
	return rtnl_talk(r, msg);
}
