/* SPDX-License-Identifier: Apache-2.0 */
/* See mnl.h. Uses none of the agent's code. */
#include "tests/rpc/mnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#define ATTRS_MAX 96

struct reading {
	enum mnl_what what;
	char *out;
	size_t size, used;
	int lines;
};

struct attrs {
	const struct nlattr *of[ATTRS_MAX];
};

static int
keep(const struct nlattr *attr, void *data)
{
	struct attrs *attrs = data;

	if (mnl_attr_get_type(attr) < ATTRS_MAX)
		attrs->of[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* Appends to the current line. */
__attribute__((format(printf, 2, 3))) static void
say(struct reading *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->out + r->used, r->size - r->used, fmt, ap);
	va_end(ap);
	r->used += (size_t)n < r->size - r->used ? (size_t)n : r->size - r->used - 1;
}

static void
say_mac(struct reading *r, const struct nlattr *attr)
{
	const uint8_t *bytes = attr ? mnl_attr_get_payload(attr) : NULL;

	say(r, " mac");
	for (unsigned int i = 0; attr && i < mnl_attr_get_payload_len(attr); i++)
		say(r, "%c%02x", i ? ':' : ' ', bytes[i]);
}

static const char *
text(int family, const void *bytes, char out[INET6_ADDRSTRLEN])
{
	return inet_ntop(family, bytes, out, INET6_ADDRSTRLEN);
}

static const char *
name_of(unsigned int index, char out[IF_NAMESIZE])
{
	return if_indextoname(index, out) ? out : "?";
}

static void
say_link(struct reading *r, const struct nlmsghdr *m)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = { 0 };

	mnl_attr_parse(m, sizeof(*head), keep, &attrs);
	say(r, "%s", mnl_attr_get_str(attrs.of[IFLA_IFNAME]));
	say_mac(r, attrs.of[IFLA_ADDRESS]);
	say(r, " mtu %u %s%s\n", mnl_attr_get_u32(attrs.of[IFLA_MTU]),
	    head->ifi_flags & IFF_UP ? "up" : "down", head->ifi_flags & IFF_NOARP ? " noarp" : "");
	r->lines++;
}

static void
say_address(struct reading *r, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(m);
	char a[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	struct attrs attrs = { 0 };
	const struct nlattr *own;

	mnl_attr_parse(m, sizeof(*head), keep, &attrs);
	own = attrs.of[IFA_LOCAL] ? attrs.of[IFA_LOCAL] : attrs.of[IFA_ADDRESS];
	say(r, "%s %s/%u", name_of(head->ifa_index, name),
	    text(head->ifa_family, mnl_attr_get_payload(own), a), head->ifa_prefixlen);
	if (attrs.of[IFA_BROADCAST])
		say(r, " brd %s", text(AF_INET, mnl_attr_get_payload(attrs.of[IFA_BROADCAST]), a));
	if (attrs.of[IFA_FLAGS] && mnl_attr_get_u32(attrs.of[IFA_FLAGS]) & IFA_F_TENTATIVE)
		say(r, " tentative");
	say(r, "\n");
	r->lines++;
}

static void
say_hop(struct reading *r, const struct rtmsg *head, const struct attrs *attrs,
	const struct attrs *hop, unsigned int index, unsigned int flags)
{
	char a[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	struct attrs metrics = { 0 };

	if (attrs->of[RTA_DST])
		say(r, "%s/%u", text(head->rtm_family, mnl_attr_get_payload(attrs->of[RTA_DST]), a),
		    head->rtm_dst_len);
	else
		say(r, "default%s", head->rtm_family == AF_INET6 ? " v6" : "");
	if (hop->of[RTA_GATEWAY])
		say(r, " via %s",
		    text(head->rtm_family, mnl_attr_get_payload(hop->of[RTA_GATEWAY]), a));
	if (hop->of[RTA_VIA]) {
		const struct rtvia *via = mnl_attr_get_payload(hop->of[RTA_VIA]);

		say(r, " via %s", text(via->rtvia_family, via->rtvia_addr, a));
	}
	say(r, " dev %s", name_of(index, name));
	if (attrs->of[RTA_PREFSRC])
		say(r, " src %s",
		    text(head->rtm_family, mnl_attr_get_payload(attrs->of[RTA_PREFSRC]), a));
	say(r, " scope %u", head->rtm_scope);
	if (attrs->of[RTA_METRICS])
		mnl_attr_parse_nested(attrs->of[RTA_METRICS], keep, &metrics);
	if (metrics.of[RTAX_MTU])
		say(r, " mtu %u", mnl_attr_get_u32(metrics.of[RTAX_MTU]));
	say(r, "%s\n", flags & RTNH_F_ONLINK ? " onlink" : "");
	r->lines++;
}

static void
say_route(struct reading *r, const struct nlmsghdr *m)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(m);
	struct attrs attrs = { 0 };
	struct rtnexthop *hop;
	int left;

	if (head->rtm_table != RT_TABLE_MAIN || head->rtm_type != RTN_UNICAST)
		return;
	mnl_attr_parse(m, sizeof(*head), keep, &attrs);
	if (!attrs.of[RTA_MULTIPATH]) {
		say_hop(r, head, &attrs, &attrs,
			attrs.of[RTA_OIF] ? mnl_attr_get_u32(attrs.of[RTA_OIF]) : 0,
			head->rtm_flags);
		return;
	}
	hop = mnl_attr_get_payload(attrs.of[RTA_MULTIPATH]);
	left = mnl_attr_get_payload_len(attrs.of[RTA_MULTIPATH]);
	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		struct attrs of = { 0 };

		mnl_attr_parse_payload(RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop), keep, &of);
		say_hop(r, head, &attrs, &of, (unsigned int)hop->rtnh_ifindex, hop->rtnh_flags);
	}
}

static void
say_neighbour(struct reading *r, const struct nlmsghdr *m)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(m);
	char a[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	struct attrs attrs = { 0 };

	mnl_attr_parse(m, sizeof(*head), keep, &attrs);
	if (!attrs.of[NDA_DST])
		return;
	say(r, "%s dev %s", text(head->ndm_family, mnl_attr_get_payload(attrs.of[NDA_DST]), a),
	    name_of((unsigned int)head->ndm_ifindex, name));
	if (attrs.of[NDA_LLADDR])
		say_mac(r, attrs.of[NDA_LLADDR]);
	say(r, " state %u\n", head->ndm_state);
	r->lines++;
}

static int
on_message(const struct nlmsghdr *m, void *data)
{
	struct reading *r = data;

	switch (r->what) {
	case MNL_LINKS:
		say_link(r, m);
		break;
	case MNL_ADDRESSES:
		say_address(r, m);
		break;
	case MNL_ROUTES:
		say_route(r, m);
		break;
	case MNL_NEIGHBOURS:
		say_neighbour(r, m);
		break;
	}
	return MNL_CB_OK;
}

/* Sends a request and reads the whole reply. */
static int
talk(struct nlmsghdr *m, mnl_cb_t fn, void *data)
{
	static char bytes[1 << 16];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	unsigned int port;
	ssize_t n;
	int r = -1;

	if (!s)
		return -1;
	m->nlmsg_seq = (uint32_t)time(NULL);
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(s, m, m->nlmsg_len) > 0) {
		port = mnl_socket_get_portid(s);
		do {
			n = mnl_socket_recvfrom(s, bytes, sizeof(bytes));
			r = n < 0 ? -1 : mnl_cb_run(bytes, (size_t)n, m->nlmsg_seq, port, fn, data);
		} while (r > 0);
	}
	(void)mnl_socket_close(s);
	return r;
}

static int
dump(struct reading *r, uint16_t type, uint8_t family)
{
	char bytes[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	/* the others begin with the family, too, and none is longer than a link's */
	struct rtmsg *head;

	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	head = mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	head->rtm_family = family;
	return talk(m, on_message, r);
}

int
mnl_read(enum mnl_what what, char *out, size_t size)
{
	static const uint16_t types[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH };
	struct reading r = { .what = what, .out = out, .size = size };

	out[0] = '\0';
	if (what == MNL_LINKS)
		return dump(&r, types[what], AF_UNSPEC) < 0 ? -1 : r.lines;
	if (dump(&r, types[what], AF_INET) < 0 || dump(&r, types[what], AF_INET6) < 0)
		return -1;
	return r.lines;
}

bool
mnl_has(enum mnl_what what, const char *line)
{
	static char all[1 << 17];
	size_t n = strlen(line);
	const char *at = all;

	if (mnl_read(what, all, sizeof(all)) < 0)
		return false;
	for (; (at = strstr(at, line)) != NULL; at += n)
		if ((at == all || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}

static int
add_link_of(const char *kind, const char *name, uint16_t number)
{
	const uint8_t mac[] = { 2, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number };
	char bytes[512];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	struct nlattr *info;

	m->nlmsg_type = RTM_NEWLINK;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	mnl_attr_put(m, IFLA_ADDRESS, sizeof(mac), mac);
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(m, info);
	return talk(m, NULL, NULL);
}

static int
add_link_of_any(const char *const *kinds, const char *name, uint16_t number)
{
	(void)mnl_remove_link(name);
	for (; *kinds; kinds++) {
		if (add_link_of(*kinds, name, number) >= 0)
			return 0;
		if (errno != EOPNOTSUPP)
			break;
	}
	return -1;
}

int
mnl_add_link(const char *name, uint16_t number)
{
	return add_link_of_any((const char *const[]){ "bridge", "dummy", NULL }, name, number);
}

int
mnl_add_plain_link(const char *name, uint16_t number)
{
	return add_link_of_any((const char *const[]){ "dummy", "ifb", "bridge", NULL }, name,
			       number);
}

int
mnl_remove_link(const char *name)
{
	char bytes[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);

	m->nlmsg_type = RTM_DELLINK;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	return talk(m, NULL, NULL) < 0 ? -1 : 0;
}

int
mnl_add_hops(const char *name, const char *dest, uint8_t len, const char *const *gateways, size_t n)
{
	char bytes[1024];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	struct rtnexthop *hop;
	struct rtmsg *head;
	struct nlattr *hops;
	uint32_t to, via;

	m->nlmsg_type = RTM_NEWROUTE;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	head = mnl_nlmsg_put_extra_header(m, sizeof(*head));
	*head = (struct rtmsg){ .rtm_family = AF_INET,
				.rtm_dst_len = len,
				.rtm_table = RT_TABLE_MAIN,
				.rtm_protocol = RTPROT_STATIC,
				.rtm_type = RTN_UNICAST };
	if (inet_pton(AF_INET, dest, &to) != 1)
		return -1;
	mnl_attr_put_u32(m, RTA_DST, to);
	hops = mnl_attr_nest_start(m, RTA_MULTIPATH);
	for (size_t i = 0; i < n; i++) {
		if (inet_pton(AF_INET, gateways[i], &via) != 1)
			return -1;
		hop = mnl_nlmsg_get_payload_tail(m);
		*hop = (struct rtnexthop){ .rtnh_len = sizeof(*hop) + MNL_ATTR_HDRLEN + sizeof(via),
					   .rtnh_ifindex = (int)if_nametoindex(name) };
		m->nlmsg_len += (uint32_t)sizeof(*hop);
		mnl_attr_put_u32(m, RTA_GATEWAY, via);
	}
	mnl_attr_nest_end(m, hops);
	return talk(m, NULL, NULL) < 0 ? -1 : 0;
}
