/* SPDX-License-Identifier: Apache-2.0 */
/* Routes, neighbours and listings in the namespace shared by the agent and the test; the result
 * is read with libmnl. */
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "tests/rpc/net.h"

static char *
str(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
routes(struct harness *h)
{
	/* routes that others depend on come last */
	static const struct route list[] = {
		{ .dest = "", .gateway = "10.0.0.1", .device = "eth0" },
		{ .dest = "192.168.7.0/24", .gateway = "169.254.1.1", .device = "eth0" },
		{ .dest = "10.7.0.0/16",
		  .gateway = "10.0.0.1",
		  .device = "eth0",
		  .mtu = 1300,
		  .source = "10.0.0.2" },
		{ .dest = "10.8.0.0/16", .gateway = "172.16.0.1", .device = "eth0", .flags = 4 },
		{ .dest = "", .gateway = "fd00::1", .device = "eth0", .is_v6 = true },
		{ .dest = "fd01::/64", .device = "eth0", .source = "fd00::2", .is_v6 = true },
		{ .dest = "169.254.1.1/32", .device = "eth0", .scope = 253 },
		{ .dest = "10.6.0.1/16", .device = "eth0", .source = "10.0.0.2/0" },
		/* a flag of the kernel's state, not of a request */
		{ .dest = "10.11.0.0/16", .gateway = "10.0.0.1", .device = "eth0", .flags = 16 },
		/* IPv4 via an IPv6 gateway (RFC 5549) */
		{ .dest = "10.12.0.0/16", .gateway = "fd00::1", .device = "eth0" },
	};
	static const char *const lines[] = {
		"default via 10.0.0.1 dev eth0 scope 0",
		"192.168.7.0/24 via 169.254.1.1 dev eth0 scope 0",
		"10.7.0.0/16 via 10.0.0.1 dev eth0 src 10.0.0.2 scope 0 mtu 1300",
		"10.8.0.0/16 via 172.16.0.1 dev eth0 scope 0 onlink",
		"default v6 via fd00::1 dev eth0 scope 0",
		"fd01::/64 dev eth0 src fd00::2 scope 0",
		"169.254.1.1/32 dev eth0 scope 253",
		"10.6.0.0/16 dev eth0 src 10.0.0.2 scope 253",
		"10.11.0.0/16 via 10.0.0.1 dev eth0 scope 0",
		"10.12.0.0/16 via fd00::1 dev eth0 scope 0",
	};
	static char before[1 << 14], after[1 << 14];
	struct error err = ERROR_INIT;
	int n;

	make_eth0(h);
	n = update_routes(h, list, ARRAY_LEN(list), &err);
	CHECK_GT(n, 0, "%s", err.msg);
	CHECK_EQ(n, mnl_read(MNL_ROUTES, before, sizeof(before)), "the reply has %d routes", n);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		has(MNL_ROUTES, lines[i]);
	CHECK_EQ(update_routes(h, list, ARRAY_LEN(list), &err), n, "again: %s", err.msg);
	(void)mnl_read(MNL_ROUTES, after, sizeof(after));
	CHECK_EQ(strlen(before), strlen(after), "the second reply differs:\n%s\n%s", before, after);
	remove_links();
}

/* Creates a route to 10.8.0.0/16 with two next hops, as another program would. */
static void
make_hops(void)
{
	static const char *const gateways[] = { "10.0.0.3", "10.0.0.4" };

	CHECK(mnl_add_hops("eth0", "10.8.0.0", 16, gateways, ARRAY_LEN(gateways)) == 0,
	      "a route with two next hops");
	has(MNL_ROUTES, "10.8.0.0/16 via 10.0.0.3 dev eth0 scope 0");
	has(MNL_ROUTES, "10.8.0.0/16 via 10.0.0.4 dev eth0 scope 0");
}

/* One of many routes is impossible: the table is restored, including replaced routes. */
static void
all_routes_or_none(struct harness *h)
{
	static const struct route first[] = {
		{ .dest = "", .gateway = "10.0.0.1", .device = "eth0", .mtu = 1300 },
		{ .dest = "10.7.0.0/16", .gateway = "10.0.0.1", .device = "eth0" },
		{ .dest = "", .gateway = "fd00::1", .device = "eth0", .is_v6 = true },
	};
	static const struct route bad[] = {
		{ .dest = "", .gateway = "10.0.0.9", .device = "eth0" },
		{ .dest = "10.7.0.0/16", .device = "eth0" },
		/* the kernel's own */
		{ .dest = "10.0.0.0/24", .device = "eth0" },
		{ .dest = "10.8.0.0/16", .gateway = "10.0.0.1", .device = "eth0" },
		{ .dest = "fd09::/64", .device = "eth0", .is_v6 = true },
		{ .dest = "", .gateway = "fd00::9", .device = "eth0", .is_v6 = true },
		{ .dest = "10.9.0.0/16", .gateway = "203.0.113.1", .device = "eth0" },
	};
	static const struct {
		struct route route;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ { .dest = "10.9.0.0/99", .device = "eth0" },
		  ERROR_INVALID_ARGUMENT,
		  "10.9.0.0/99" },
		{ { .dest = "10.9.0.0/16", .device = "eth7" },
		  ERROR_NOT_FOUND,
		  TEXT_LINK_NOT_FOUND },
		{ { .dest = "10.9.0.0/16", .device = "" }, ERROR_INVALID_ARGUMENT, "route 0" },
		{ { .dest = "10.9.0.0/16", .gateway = "gw", .device = "eth0" },
		  ERROR_INVALID_ARGUMENT,
		  "invalid gateway \"gw\"" },
		{ { .dest = "10.9.0.0/16", .device = "eth0", .scope = 256 },
		  ERROR_INVALID_ARGUMENT,
		  "scope 256" },
		{ { .dest = "10.9.0.0/16", .device = "eth0", .source = "fd00::2" },
		  ERROR_INVALID_ARGUMENT,
		  "different address families" },
	};
	static char before[1 << 14], after[1 << 14];
	struct error err = ERROR_INIT;

	make_eth0(h);
	make_hops();
	CHECK_GT(update_routes(h, first, ARRAY_LEN(first), &err), 0, "%s", err.msg);
	(void)mnl_read(MNL_ROUTES, before, sizeof(before));
	CHECK(update_routes(h, bad, ARRAY_LEN(bad), &err) < 0 && strstr(err.msg, "203.0.113.1"),
	      "%s", err.msg);
	(void)mnl_read(MNL_ROUTES, after, sizeof(after));
	CHECK_STR(before, after, "before:\n%safter:\n%s", before, after);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_FAILS(update_routes(h, &rows[i].route, 1, &err), &err, rows[i].code,
			    rows[i].text, "row %zu: %d %s", i, err.code, err.msg);
	(void)mnl_read(MNL_ROUTES, after, sizeof(after));
	CHECK_STR(before, after, "before:\n%safter:\n%s", before, after);
	remove_links();
}

/* ---- neighbours ---- */

static void
neighbours(struct harness *h)
{
	Grpc__AddARPNeighborsRequest q = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;
	Grpc__ARPNeighbors list = GRPC__ARPNEIGHBORS__INIT;
	Types__ARPNeighbor n[2] = { TYPES__ARPNEIGHBOR__INIT, TYPES__ARPNEIGHBOR__INIT };
	Types__IPAddress a[2] = { TYPES__IPADDRESS__INIT, TYPES__IPADDRESS__INIT };
	Types__ARPNeighbor *pointers[] = { &n[0], &n[1] };
	struct error err = ERROR_INIT;

	make_eth0(h);
	CHECK_FAILS(call(h, "AddARPNeighbors", &q, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		n[i].toipaddress = &a[i];
		n[i].device = str("eth0");
		n[i].lladdr = str("02:00:00:00:00:77");
	}
	a[0].address = str("10.0.0.9");
	a[1].address = str("fd00::9");
	a[1].family = TYPES__IPFAMILY__v6;
	/* NUD_NOARP */
	n[1].state = 0x40;
	q.neighbors = &list;
	list.arpneighbors = pointers;
	list.n_arpneighbors = ARRAY_LEN(pointers);
	CHECK_OK(call(h, "AddARPNeighbors", &q, NULL, &err), &err);
	has(MNL_NEIGHBOURS, "10.0.0.9 dev eth0 mac 02:00:00:00:00:77 state 128");
	has(MNL_NEIGHBOURS, "fd00::9 dev eth0 mac 02:00:00:00:00:77 state 64");
	n[0].lladdr = str("02:00:00:00:00:78");
	CHECK_OK(call(h, "AddARPNeighbors", &q, NULL, &err), &err, "replace");
	has(MNL_NEIGHBOURS, "10.0.0.9 dev eth0 mac 02:00:00:00:00:78 state 128");
	n[1].device = str("eth7");
	CHECK(call(h, "AddARPNeighbors", &q, NULL, &err) < 0 &&
		      strstr(err.msg, TEXT_LINK_NOT_FOUND),
	      "%s", err.msg);
	a[0].address = str("");
	CHECK_FAILS(call(h, "AddARPNeighbors", &q, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
	remove_links();
}

/* ---- listings ---- */

static const Types__Interface *
find_interface(const Grpc__Interfaces *all, const char *name)
{
	for (size_t i = 0; i < all->n_interfaces; i++)
		if (strcmp(all->interfaces[i]->name, name) == 0)
			return all->interfaces[i];
	return NULL;
}

static void
check_addresses(const Types__Interface *i)
{
	unsigned int seen = 0;

	for (size_t k = 0; k < i->n_ipaddresses; k++) {
		const Types__IPAddress *a = i->ipaddresses[k];

		if (strcmp(a->address, "10.0.0.2") == 0 && strcmp(a->mask, "24") == 0 &&
		    a->family == TYPES__IPFAMILY__v4)
			seen |= 1;
		if (strcmp(a->address, "fd00::2") == 0 && strcmp(a->mask, "64") == 0 &&
		    a->family == TYPES__IPFAMILY__v6)
			seen |= 2;
	}
	CHECK_EQ(seen, 3, "addresses or families are wrong: %u", seen);
}

static void
listings(struct harness *h)
{
	static const struct route list[] = {
		{ .dest = "10.7.0.0/16",
		  .gateway = "10.0.0.1",
		  .device = "eth0",
		  .mtu = 1300,
		  .source = "10.0.0.2" },
		{ .dest = "", .gateway = "fd00::1", .device = "eth0", .is_v6 = true },
	};
	Grpc__ListInterfacesRequest qi = GRPC__LIST_INTERFACES_REQUEST__INIT;
	Grpc__ListRoutesRequest qr = GRPC__LIST_ROUTES_REQUEST__INIT;
	static char text[1 << 14];
	struct error err = ERROR_INIT;
	ProtobufCMessage *reply = NULL;
	const Types__Interface *i;
	unsigned int seen = 0;

	make_eth0(h);
	make_hops();
	CHECK_GT(update_routes(h, list, ARRAY_LEN(list), &err), 0, "%s", err.msg);
	if (call(h, "ListInterfaces", &qi, &reply, &err) == 0) {
		const Grpc__Interfaces *all = (const Grpc__Interfaces *)reply;

		CHECK_EQ((int)all->n_interfaces, mnl_read(MNL_LINKS, text, sizeof(text)),
			 "%zu interfaces", all->n_interfaces);
		CHECK(find_interface(all, "lo"), "no loopback");
		i = find_interface(all, "eth0");
		CHECK(i && i->mtu == 1500 && strcmp(i->hwaddr, "02:00:00:00:00:01") == 0 &&
			      i->type[0] && i->raw_flags & 1,
		      "eth0 is not itself");
		if (i)
			check_addresses(i);
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	CHECK_OK(call(h, "ListRoutes", &qr, &reply, &err), &err);
	for (size_t k = 0; err.code == ERROR_OK && k < ((Grpc__Routes *)reply)->n_routes; k++) {
		const Types__Route *r = ((Grpc__Routes *)reply)->routes[k];

		if (strcmp(r->dest, "10.7.0.0/16") == 0 && strcmp(r->gateway, "10.0.0.1") == 0 &&
		    strcmp(r->source, "10.0.0.2") == 0 && strcmp(r->device, "eth0") == 0 &&
		    r->mtu == 1300 && r->family == TYPES__IPFAMILY__v4)
			seen |= 1;
		if (strcmp(r->dest, "") == 0 && strcmp(r->gateway, "fd00::1") == 0 &&
		    r->family == TYPES__IPFAMILY__v6)
			seen |= 2;
		if (strcmp(r->dest, "10.0.0.0/24") == 0 && r->scope == 253 && !r->gateway[0])
			seen |= 4;
		/* one for each next hop */
		if (strcmp(r->dest, "10.8.0.0/16") == 0 && strcmp(r->device, "eth0") == 0)
			seen |= strcmp(r->gateway, "10.0.0.3") == 0   ? 8
				: strcmp(r->gateway, "10.0.0.4") == 0 ? 16
								      : 0;
	}
	CHECK_EQ(seen, 31, "routes are missing or wrong: %u", seen);
	if (err.code == ERROR_OK)
		protobuf_c_message_free_unpacked(reply, NULL);
	remove_links();
}

/* ---- iptables ---- */

#define MANY_RULES (3u << 20)

/* A tool of the image that keeps rules in a file. */
static void
put_tool(const char *name, const char *script)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/usr/sbin/%s", name);
	f = fopen(path, "we");
	CHECK(f && fprintf(f, "#!/bin/sh\n%s\n", script) > 0 && fclose(f) == 0 &&
		      chmod(path, 0755) == 0,
	      "make %s", path);
}

static int
set_rules(struct harness *h, bool is_v6, const char *rules, struct error *err)
{
	Grpc__SetIPTablesRequest q = GRPC__SET_IPTABLES_REQUEST__INIT;

	*err = ERROR_INIT;
	q.is_ipv6 = is_v6;
	q.data.data = (uint8_t *)str(rules);
	q.data.len = strlen(rules);
	return call(h, "SetIPTables", &q, NULL, err);
}

/* Returns whether these are the reported rules. */
static bool
are_rules(struct harness *h, bool is_v6, const char *rules, struct error *err)
{
	Grpc__GetIPTablesRequest q = GRPC__GET_IPTABLES_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	const ProtobufCBinaryData *data;
	bool is_same;

	*err = ERROR_INIT;
	q.is_ipv6 = is_v6;
	if (call(h, "GetIPTables", &q, &reply, err) < 0)
		return false;
	data = &((Grpc__GetIPTablesResponse *)reply)->data;
	is_same = data->len == strlen(rules) &&
		  (data->len == 0 || memcmp(data->data, rules, data->len) == 0);
	protobuf_c_message_free_unpacked(reply, NULL);
	return is_same;
}

/* A script replaces the tools, to check their input and output. The VM tests use the real tools. */
static void
iptables(struct harness *h)
{
	struct error err = ERROR_INIT;
	char *many = calloc(1, MANY_RULES + 1);

	CHECK(many && mount("tmpfs", "/usr/sbin", "tmpfs", 0, NULL) == 0, "no /usr/sbin");
	CHECK(!are_rules(h, false, "", &err) && err.code == ERROR_FAILED_PRECONDITION &&
		      strstr(err.msg, "no iptables-save"),
	      "%d %s", err.code, err.msg);
	CHECK_FAILS(set_rules(h, true, "", &err), &err, ERROR_FAILED_PRECONDITION,
		    "no ip6tables-restore", "%d %s", err.code, err.msg);
	put_tool("iptables-save", "echo '# a warning' >&2; exec cat /run/rules4");
	put_tool("iptables-restore", "test \"$*\" = '--wait 5' && exec cat >/run/rules4");
	put_tool("ip6tables-save", "exec cat /run/rules6");
	put_tool("ip6tables-restore", "test \"$*\" = '--wait 5' && exec cat >/run/rules6");
	CHECK_OK(set_rules(h, false, "four\n", &err), &err);
	CHECK_OK(set_rules(h, true, "six\n", &err), &err);
	CHECK(are_rules(h, false, "four\n", &err), "%s", err.msg);
	CHECK(are_rules(h, true, "six\n", &err), "%s", err.msg);
	CHECK(set_rules(h, false, "", &err) == 0 && are_rules(h, false, "", &err), "%s", err.msg);
	if (many) {
		memset(many, 'r', MANY_RULES);
		CHECK_OK(set_rules(h, false, many, &err), &err);
		CHECK(are_rules(h, false, many, &err), "%s", err.msg);
	}
	put_tool("iptables-restore", "echo first >&2; echo second >&2; exit 7");
	CHECK_FAILS(set_rules(h, false, "x", &err), &err, ERROR_INTERNAL,
		    "exited with status 7: first second", "%d %s", err.code, err.msg);
	/* Output larger than a reply makes only this call fail. */
	put_tool("iptables-save", "exec head -c 9000000 /dev/zero");
	CHECK(!are_rules(h, false, "", &err) && err.code == ERROR_INTERNAL, "%d %s", err.code,
	      err.msg);
	CHECK_OK(check_health(h->client, &err), &err);
	(void)umount2("/usr/sbin", MNT_DETACH);
	(void)unlink("/run/rules4");
	(void)unlink("/run/rules6");
	free(many);
}

const struct test tests_network[] = {
	{ "routes of all kinds, in any order", routes },
	{ "a failed update restores the former routes", all_routes_or_none },
	{ "neighbours", neighbours },
	{ "iptables with the tools of the image", iptables },
	{ "lists of interfaces and routes", listings },
};
const size_t n_tests_network = ARRAY_LEN(tests_network);
