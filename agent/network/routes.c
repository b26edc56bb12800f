/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UpdateRoutes' work: installs routes in order of dependency, all or none. Worker only: may block.
 * Called by network.c.
 */
#include "agent/network/network_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "agent/network/snapshot.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"

/* Limits the depth of gateways that are reached through other gateways. */
#define PASSES_MAX 8

struct plan {
	/* In order of installation. */
	struct net_route **order;
	/* Their destinations, sorted. */
	struct net_address *addresses;
	size_t n;
};

static int routes_plan(struct worker *w, struct net_task *task, const struct net_links *links,
		       struct plan *plan, struct error *err);
static int routes_mark_later(struct plan *plan, struct error *err);
static int routes_order_by_destination(const void *a, const void *b);
static int routes_apply(struct worker *w, struct rtnl *r, struct plan *plan, struct error *err);
static int routes_install_all(struct rtnl *r, struct net_route **order, size_t n,
			      struct error *err);
static const char *routes_describe(const struct net_route *route, char out[192]);
static struct nl_msg *routes_message(const struct net_route *route);

int
net_routes_work(struct worker *w, struct net_task *task, struct error *err)
{
	struct plan plan = {
		.order = calloc(task->count + 1, sizeof(*plan.order)),
		.addresses = calloc(task->count + 1, sizeof(*plan.addresses)),
	};
	struct net_links links = { 0 };
	struct rtnl r = { 0 };
	struct error why = ERROR_INIT;
	int result = -1;

	if (!plan.order || !plan.addresses)
		error_nomem(err, "updating routes");
	else if (rtnl_open(&r, err) == 0 && net_links_read(&r, &links, err) == 0 &&
		 routes_plan(w, task, &links, &plan, err) == 0 &&
		 routes_apply(w, &r, &plan, err) == 0)
		result = 0;
	/* The routes are installed, even if the reply fails. */
	if (result == 0 && net_send_routes(w, &r, &links, &why) < 0)
		worker_log(w, LOG_LEVEL_WARN, "failed to list the routes after UpdateRoutes: %s",
			   why.msg);
	net_links_release(&links);
	rtnl_close(&r);
	free(plan.order);
	free(plan.addresses);
	return result < 0 ? error_wrap(err, "failed to update routes") : 0;
}

/* ---- plan ---- */

/* Finds the routes' interfaces; skips IPv6 routes if it is disabled. */
static int
routes_plan(struct worker *w, struct net_task *task, const struct net_links *links,
	    struct plan *plan, struct error *err)
{
	bool ipv6_is_off = net_ipv6_is_off(task->roots);
	char text[192];

	for (int has_gateway = 0; has_gateway < 2; has_gateway++) {
		for (size_t i = 0; i < task->count; i++) {
			struct net_route *route = &task->routes[i];
			const struct net_link *link = net_links_by_name(links, route->device);

			if ((route->gateway.family != 0) != has_gateway)
				continue;
			if (route->destination.family == AF_INET6 && ipv6_is_off) {
				worker_log(w, LOG_LEVEL_WARN,
					   "skipping route %s: IPv6 is disabled in the guest",
					   routes_describe(route, text));
				continue;
			}
			if (!link)
				return error_set(err, ERROR_NOT_FOUND,
						 TEXT_LINK_NOT_FOUND " (%s): %s", route->device,
						 routes_describe(route, text));
			route->index = link->index;
			plan->order[plan->n++] = route;
		}
	}
	return routes_mark_later(plan, err);
}

/* Marks routes that follow another one to the same destination. */
static int
routes_mark_later(struct plan *plan, struct error *err)
{
	auto_free struct net_route ***sorted = calloc(plan->n + 1, sizeof(*sorted));

	if (!sorted)
		return error_nomem(err, "updating routes");
	for (size_t i = 0; i < plan->n; i++)
		sorted[i] = &plan->order[i];
	qsort(sorted, plan->n, sizeof(*sorted), routes_order_by_destination);
	for (size_t i = 0; i < plan->n; i++) {
		plan->addresses[i] = (*sorted[i])->destination;
		(*sorted[i])->is_later = i > 0 && net_address_compare(&plan->addresses[i - 1],
								      &plan->addresses[i]) == 0;
	}
	return 0;
}

/* Sorts by destination, then by order of installation. */
static int
routes_order_by_destination(const void *a, const void *b)
{
	struct net_route *const *const *x = a, *const *const *y = b;
	int order = net_address_compare(&(**x)->destination, &(**y)->destination);

	return order ? order : *x < *y ? -1 : *x > *y;
}

/* ---- installation ---- */

static int
routes_apply(struct worker *w, struct rtnl *r, struct plan *plan, struct error *err)
{
	const struct net_snapshot_of of = { plan->addresses, plan->n, 0 };
	struct net_snapshot former;
	struct error why = ERROR_INIT;
	int result;

	if (net_snapshot_take(r, &of, &former, err) < 0)
		return -1;
	result = routes_install_all(r, plan->order, plan->n, err);
	if (result < 0 && net_snapshot_restore(r, &former, &why) < 0)
		worker_log(w, LOG_LEVEL_ERROR,
			   "failed to restore the routes from before UpdateRoutes: %s", why.msg);
	net_snapshot_release(&former);
	return result;
}

/* Installs the routes without a gateway, then those with one; repeats as long as a new route makes
 * another possible. */
static int
routes_install_all(struct rtnl *r, struct net_route **order, size_t n, struct error *err)
{
	char text[192];

	for (unsigned int pass = 0; n > 0; pass++) {
		size_t left = 0;

		for (size_t i = 0; i < n; i++) {
			struct error *first = left == 0 ? err : &ERROR_INIT;

			if (rtnl_talk(r, routes_message(order[i])) == 0 || r->errnum == EEXIST)
				continue;
			rtnl_error(r, first, "failed to add %s", routes_describe(order[i], text));
			/* Another route may make this one possible. */
			if (r->errnum != ENETUNREACH && r->errnum != EHOSTUNREACH &&
			    r->errnum != EINVAL) {
				*err = *first;
				return -1;
			}
			order[left++] = order[i];
		}
		if (left == n || (left > 0 && pass == PASSES_MAX))
			return -1;
		n = left;
	}
	*err = ERROR_INIT;
	return 0;
}

/* Formats "10.1.0.0/16 via 10.0.0.1 dev eth0", for messages. */
static const char *
routes_describe(const struct net_route *route, char out[192])
{
	char to[NET_ADDRESS_TEXT], via[NET_ADDRESS_TEXT];

	(void)snprintf(out, 192, "%s%s%s dev %s",
		       route->destination.len ? net_format_prefix(&route->destination, to)
					      : "default",
		       route->gateway.family ? " via " : "",
		       net_format_address(&route->gateway, via), route->device);
	return out;
}

/* Returns the scope. An IPv4 route without a gateway has link scope, even if the host left that
 * out: the kernel accepts gateways through link-scope routes only (ip-route(8) has the same
 * default). */
static uint8_t
routes_scope_of(const struct net_route *route)
{
	if (route->destination.family == AF_INET && !route->gateway.family && route->scope == 0)
		return RT_SCOPE_LINK;
	return route->scope;
}

/* Adds a gateway of the other family (RFC 5549). */
static bool
routes_put_via(struct nl_msg *msg, const struct net_address *gateway)
{
	struct {
		uint16_t family;
		uint8_t bytes[16];
	} via = { .family = gateway->family };

	memcpy(via.bytes, gateway->bytes, sizeof(via.bytes));
	return rtnl_put(msg, RTA_VIA, &via, sizeof(via.family) + net_address_size(gateway->family));
}

static bool
routes_put_addresses(struct nl_msg *msg, const struct net_route *route)
{
	const struct net_address *to = &route->destination, *from = &route->source;
	size_t size = net_address_size(to->family);

	if (to->len > 0 && !rtnl_put(msg, RTA_DST, to->bytes, size))
		return false;
	if (from->family &&
	    !rtnl_put(msg, from->len == 8 * size ? RTA_PREFSRC : RTA_SRC, from->bytes, size))
		return false;
	if (!route->gateway.family)
		return true;
	if (route->gateway.family != to->family)
		return routes_put_via(msg, &route->gateway);
	return rtnl_put(msg, RTA_GATEWAY, route->gateway.bytes, size);
}

static bool
routes_put_mtu(struct nl_msg *msg, uint32_t mtu)
{
	struct nlattr *metrics;

	if (mtu == 0)
		return true;
	metrics = nla_nest_start(msg, RTA_METRICS);
	if (!metrics || !rtnl_put_u32(msg, RTAX_MTU, mtu))
		return false;
	nla_nest_end(msg, metrics);
	return true;
}

static struct nl_msg *
routes_message(const struct net_route *route)
{
	const unsigned int bits = net_address_bits(route->destination.family);
	const struct net_address *from = &route->source;
	const struct rtmsg head = {
		.rtm_family = route->destination.family,
		.rtm_dst_len = route->destination.len,
		.rtm_src_len = from->family && from->len < bits ? from->len : 0,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = routes_scope_of(route),
		.rtm_type = RTN_UNICAST,
		.rtm_flags = route->flags,
	};
	/* Two routes of a request to one destination are both kept. */
	struct nl_msg *msg = rtnl_message(
		RTM_NEWROUTE, NLM_F_CREATE | (route->is_later ? NLM_F_APPEND : NLM_F_REPLACE),
		&head, sizeof(head));

	if (msg && routes_put_addresses(msg, route) && rtnl_put_u32(msg, RTA_OIF, route->index) &&
	    routes_put_mtu(msg, route->mtu))
		return msg;
	nlmsg_free(msg);
	return NULL;
}
