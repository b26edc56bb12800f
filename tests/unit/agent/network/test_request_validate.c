/* SPDX-License-Identifier: Apache-2.0 */
/* Routes as hosts write them, made plain; hints of where interfaces are. What is refused,
 * tests/rpc sees as a host does. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/network/network_internal.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static struct error err;

static const struct {
	struct net_route_request q;
	const char *to, *via, *from;
	uint8_t family, scope;
	uint32_t flags;
} routes[] = {
	/* the family comes from an address, if there is one */
	{ { "", "", "eth0", "", 0, 0, 0, false }, "0.0.0.0/0", "", "", AF_INET, 0, 0 },
	{ { "", "", "eth0", "", 0, 0, 0, true }, "::/0", "", "", AF_INET6, 0, 0 },
	{ { "", "fd00::1", "eth0", "", 0, 0, 0, false }, "::/0", "fd00::1", "", AF_INET6, 0, 0 },
	{ { "default", "10.0.0.1", "eth0", "", 0, 0, 0, true },
	  "0.0.0.0/0",
	  "10.0.0.1",
	  "",
	  AF_INET,
	  0,
	  0 },
	{ { "0.0.0.0/0", "", "eth0", "", 253, 0, 0, false }, "0.0.0.0/0", "", "", AF_INET, 253, 0 },
	/* bits behind the prefix are nobody's */
	{ { "10.1.2.3/16", "", "eth0", "", 0, 0, 0, false }, "10.1.0.0/16", "", "", AF_INET, 0, 0 },
	{ { "10.1.2.3", "", "eth0", "", 0, 0, 0, false }, "10.1.2.3/32", "", "", AF_INET, 0, 0 },
	/* no gateway, written out */
	{ { "10.0.0.0/8", "0.0.0.0", "eth0", "", 0, 4, 0, false },
	  "10.0.0.0/8",
	  "",
	  "",
	  AF_INET,
	  0,
	  0 },
	/* only flags that a request may set are kept */
	{ { "10.0.0.0/8", "10.9.9.9", "eth0", "", 0, 0xffffffff, 0, false },
	  "10.0.0.0/8",
	  "10.9.9.9",
	  "",
	  AF_INET,
	  0,
	  4 },
	/* sources */
	{ { "10.0.0.0/8", "", "eth0", "10.0.0.2", 0, 0, 0, false },
	  "10.0.0.0/8",
	  "",
	  "10.0.0.2/32",
	  AF_INET,
	  0,
	  0 },
	{ { "10.0.0.0/8", "", "eth0", "10.0.0.2/0", 0, 0, 0, false },
	  "10.0.0.0/8",
	  "",
	  "10.0.0.2/32",
	  AF_INET,
	  0,
	  0 },
	{ { "fd00::/64", "", "eth0", "fd01::/64", 0, 0, 0, true },
	  "fd00::/64",
	  "",
	  "fd01::/64",
	  AF_INET6,
	  0,
	  0 },
	/* a gateway of the other family */
	{ { "10.0.0.0/8", "fe80::1", "eth0", "", 0, 0, 0, false },
	  "10.0.0.0/8",
	  "fe80::1",
	  "",
	  AF_INET,
	  0,
	  0 },
};

Test(network_plan, routes)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct net_task task = { 0 };
		char text[NET_ADDRESS_TEXT];
		const struct net_route *r;

		REQUIRE_EQ(net_validate_routes(&task, &routes[i].q, 1, &err), 0, "row %zu: %s", i,
			   err.msg);
		r = task.routes;
		CHECK_EQ(r->destination.family, routes[i].family, "row %zu", i);
		CHECK_STR(net_format_prefix(&r->destination, text), routes[i].to);
		CHECK_STR(net_format_address(&r->gateway, text), routes[i].via);
		CHECK_STR(net_format_prefix(&r->source, text), routes[i].from);
		CHECK_EQ(r->scope, routes[i].scope, "row %zu", i);
		CHECK_EQ(r->flags, routes[i].flags, "row %zu: flags %u", i, r->flags);
		net_task_release(&task);
	}
}

Test(network_plan, routes_that_cannot_be)
{
	static const struct net_route_request rows[] = {
		{ "10.0.0.0/33", "", "eth0", "", 0, 0, 0, false },
		{ "10.0.0.0/8", "gw", "eth0", "", 0, 0, 0, false },
		{ "10.0.0.0/8", "", "", "", 0, 0, 0, false },
		{ "10.0.0.0/8", "", "eth0", "", 256, 0, 0, false },
		{ "10.0.0.0/8", "", "eth0", "fd00::1", 0, 0, 0, false },
		{ "10.0.0.0/8", "", "eth0", "10.0.0.0/24", 0, 0, 0, false },
		{ "fd00::/64", "10.0.0.1", "eth0", "", 0, 0, 0, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_task task = { 0 };

		CHECK_EQ(net_validate_routes(&task, &rows[i], 1, &err), -1, "row %zu", i);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "row %zu", i);
		net_task_release(&task);
	}
}

Test(network_plan, rules)
{
	struct net_task task = { 0 };

	REQUIRE_OK(net_validate_rules(&task, "*filter\nCOMMIT\n", 15, &err), &err);
	CHECK_STR(task.rules, "*filter\nCOMMIT\n");
	net_task_release(&task);
	REQUIRE_OK(net_validate_rules(&task, NULL, 0, &err), &err);
	CHECK_STR(task.rules, "");
	net_task_release(&task);
	CHECK_EQ(net_validate_rules(&task, "a\0b", 3, &err), -1);
	net_task_release(&task);
}

Test(network_plan, hints)
{
	struct net_link list[] = {
		{ .index = 2, .mac = { 2, { 1, 1 } } },
		{ .index = 3, .mac = { 2, { 2, 2 } } },
		{ .index = 4, .mac = { 2, { 2, 2 } } },
		{ .index = 5 },
	};
	const struct net_links links = { .list = list, .n = ARRAY_LEN(list) };
	_Alignas(struct net_ifindex) char payload[3 * sizeof(struct net_ifindex) + 1];
	struct net_ifindex_cache seen = { 0 };
	size_t size = sizeof(payload);

	CHECK_EQ(net_ifindex_cache_find(&seen, &list[0].mac), 0);
	net_ifindex_cache_fill(&links, payload, &size);
	REQUIRE_EQ(size, 3 * sizeof(struct net_ifindex), "what there is room for");
	net_ifindex_cache_take(&seen, payload, size);
	CHECK_EQ(net_ifindex_cache_find(&seen, &list[0].mac), 2);
	CHECK_EQ(net_ifindex_cache_find(&seen, &list[1].mac), 0, "two have it");
	CHECK_EQ(net_ifindex_cache_find(&seen, &list[3].mac), 0);
	net_ifindex_cache_take(&seen, payload, 0);
	CHECK_EQ(net_ifindex_cache_find(&seen, &list[0].mac), 0, "the former are forgotten");
	net_ifindex_cache_release(&seen);
}
