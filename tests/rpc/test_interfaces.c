/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateInterface in the namespace shared by the agent and the test; the result is read with
 * libmnl. */
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/rpc/net.h"

/* default of agent.hotplug_timeout */
#define WAIT_MS 3000

static void
an_interface(struct harness *h)
{
	struct wanted w = {
		.mac = "02:00:00:00:00:01",
		.name = "eth0",
		.addresses = "10.0.0.2/24 10.9.0.1/32 fd00::2/64",
		.mtu = 1400,
	};
	struct error err = ERROR_INIT;

	CHECK_EQ(mnl_add_link("net0", 1), 0, "no link can be made");
	CHECK_OK(update_interface(h, &w, &err), &err);
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:01 mtu 1400 up");
	has(MNL_ADDRESSES, "eth0 10.0.0.2/24 brd 10.0.0.255");
	has(MNL_ADDRESSES, "eth0 10.9.0.1/32");
	/* and not tentative */
	has(MNL_ADDRESSES, "eth0 fd00::2/64");
	/* Repeated with other addresses: the old ones go, the kernel's own stay. */
	w.addresses = "10.0.0.3/24 10.0.0.2/16 fd00::2/64";
	w.mtu = 0;
	/* IFF_NOARP */
	w.flags = 0x80;
	CHECK_OK(update_interface(h, &w, &err), &err);
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:01 mtu 1400 up noarp");
	has(MNL_ADDRESSES, "eth0 10.0.0.3/24 brd 10.0.0.255");
	has(MNL_ADDRESSES, "eth0 10.0.0.2/16 brd 10.0.255.255");
	has(MNL_ADDRESSES, "eth0 fd00::2/64");
	CHECK(!mnl_has(MNL_ADDRESSES, "eth0 10.0.0.2/24 brd 10.0.0.255"), "a stale address");
	CHECK(!mnl_has(MNL_ADDRESSES, "eth0 10.9.0.1/32"), "a stale address");
	/* Removing a primary address would remove its secondaries. */
	w.addresses = "10.0.0.4/24 10.0.0.5/24";
	CHECK_OK(update_interface(h, &w, &err), &err);
	w.addresses = "10.0.0.5/24";
	w.flags = 0;
	CHECK_OK(update_interface(h, &w, &err), &err);
	has(MNL_ADDRESSES, "eth0 10.0.0.5/24 brd 10.0.0.255");
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:01 mtu 1400 up");
	CHECK(!mnl_has(MNL_ADDRESSES, "eth0 10.0.0.4/24 brd 10.0.0.255"), "a stale address");
	remove_links();
}

/* Two interfaces exchange their names; the routes of both stay. */
static void
names_that_clash(struct harness *h)
{
	const struct wanted first = { .mac = "02:00:00:00:00:01",
				      .name = "eth1",
				      .addresses = "10.0.0.2/24" };
	const struct wanted second = { .mac = "02:00:00:00:00:02",
				       .name = "eth0",
				       .addresses = "10.0.1.2/24" };
	const struct route route = { .dest = "10.5.0.0/16",
				     .gateway = "10.0.0.1",
				     .device = "eth1" };
	struct error err = ERROR_INIT;

	CHECK(mnl_add_link("eth0", 1) == 0 && mnl_add_link("eth1", 2) == 0, "no links");
	CHECK_OK(update_interface(h, &first, &err), &err);
	has(MNL_LINKS, "eth1 mac 02:00:00:00:00:01 mtu 1500 up");
	CHECK_GT(update_routes(h, &route, 1, &err), 0, "%s", err.msg);
	CHECK_OK(update_interface(h, &second, &err), &err);
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:02 mtu 1500 up");
	has(MNL_LINKS, "eth1 mac 02:00:00:00:00:01 mtu 1500 up");
	/* Rotation: an interface that is up and has a route loses its name to a third. */
	CHECK_EQ(mnl_add_link("net2", 3), 0, "no link");
	CHECK_OK(update_interface(h, &(struct wanted){ .mac = "02:00:00:00:00:03", .name = "eth1" },
				  &err),
		 &err);
	has(MNL_LINKS, "eth1 mac 02:00:00:00:00:03 mtu 1500 up");
	has(MNL_LINKS, "net2 mac 02:00:00:00:00:01 mtu 1500 up");
	has(MNL_ROUTES, "10.5.0.0/16 via 10.0.0.1 dev net2 scope 0");
	has(MNL_ADDRESSES, "net2 10.0.0.2/24 brd 10.0.0.255");
	remove_links();
}

/* The interface appears while the call waits; other calls are not blocked. */
static void
a_late_interface(struct harness *h)
{
	const struct wanted late = { .mac = "02:00:00:00:00:02",
				     .name = "eth1",
				     .addresses = "10.0.1.2/24" };
	struct error err = ERROR_INIT;
	struct interface *i = calloc(1, sizeof(*i));
	uint32_t id;

	make_interface(i, &late);
	id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, "UpdateInterface",
				&i->q.base, 0, NULL, NULL, &err);
	CHECK_NE(id, 0, "%s", err.msg);
	make_eth0(h);
	CHECK_FAILS(ttrpc_client_wait(h->client, id, 0, NULL, &err), &err, ERROR_DEADLINE_EXCEEDED,
		    "", "it did not wait");
	CHECK_EQ(mnl_add_link("net1", 2), 0, "no link");
	CHECK_OK(ttrpc_client_wait(h->client, id, 20000, NULL, &err), &err);
	has(MNL_LINKS, "eth1 mac 02:00:00:00:00:02 mtu 1500 up");
	has(MNL_ADDRESSES, "eth1 10.0.1.2/24 brd 10.0.1.255");
	free(i);
	remove_links();
}

static void
one_that_never_comes(struct harness *h)
{
	const struct wanted w = { .mac = "02:00:00:00:00:99", .name = "eth0" };
	const struct wanted other = { .mac = "02:00:00:00:00:98", .name = "eth0" };
	const struct wanted late = { .mac = "02:00:00:00:00:99", .name = "eth1" };
	struct error err = ERROR_INIT;
	struct interface *i = calloc(1, sizeof(*i));
	uint64_t start_ns;
	uint32_t id;

	make_eth0(h);
	start_ns = monotonic_ns();
	CHECK_FAILS(update_interface(h, &w, &err), &err, ERROR_NOT_FOUND, TEXT_LINK_NOT_FOUND,
		    "%d %s", err.code, err.msg);
	CHECK_GE(monotonic_ns() - start_ns, WAIT_MS * 1000000ull, "it did not wait");
	/* Waits for another card, but not again for this one: its calls fail first. */
	make_interface(i, &other);
	start_ns = monotonic_ns();
	id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, "UpdateInterface",
				&i->q.base, 0, NULL, NULL, &err);
	CHECK_NE(id, 0, "%s", err.msg);
	for (unsigned int k = 0; k < 3; k++)
		CHECK_FAILS(update_interface(h, &w, &err), &err, ERROR_NOT_FOUND,
			    TEXT_LINK_NOT_FOUND);
	CHECK_FAILS(ttrpc_client_wait(h->client, id, 0, NULL, &err), &err, ERROR_DEADLINE_EXCEEDED,
		    "", "one of them waited as long as the other card's");
	CHECK_FAILS(ttrpc_client_wait(h->client, id, 30000, NULL, &err), &err, ERROR_NOT_FOUND,
		    TEXT_LINK_NOT_FOUND);
	CHECK_GE(monotonic_ns() - start_ns, WAIT_MS * 1000000ull,
		 "the call for another card did "
		 "not wait");
	CHECK_EQ(mnl_add_link("net1", 0x99), 0, "no link");
	CHECK_OK(update_interface(h, &late, &err), &err);
	has(MNL_LINKS, "eth1 mac 02:00:00:00:00:99 mtu 1500 up");
	/* The only card is up: it is not taken for the requested one. */
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:01 mtu 1500 up");
	free(i);
	remove_links();
}

/* The only card has the name, is not in use, and has a hardware address other than the requested
 * one. */
static void
the_only_card(struct harness *h)
{
	const struct wanted w = { .mac = "02:00:00:00:00:99",
				  .name = "net0",
				  .addresses = "10.0.0.2/24" };
	struct error err = ERROR_INIT;

	remove_links();
	CHECK(mnl_add_link("net0", 1) == 0 && mnl_add_link("net1", 2) == 0, "no links");
	CHECK(update_interface(h, &w, &err) < 0 && strstr(err.msg, TEXT_LINK_NOT_FOUND),
	      "one of two: %s", err.msg);
	has(MNL_LINKS, "net1 mac 02:00:00:00:00:02 mtu 1500 down");
	(void)mnl_remove_link("net1");
	CHECK_OK(update_interface(h, &w, &err), &err);
	has(MNL_LINKS, "net0 mac 02:00:00:00:00:99 mtu 1500 up");
	remove_links();
}

static void
bad_interfaces(struct harness *h)
{
	static const struct {
		struct wanted w;
		const char *text;
	} rows[] = {
		{ { .mac = "", .name = "eth0" }, "neither a MAC address nor a PCI path" },
		{ { .mac = "02:00:00", .name = "eth0/x" }, "eth0/x" },
		{ { .mac = "02:00:00:00:00:01", .name = "a-name-of-16-byt" }, "a-name-of-16-byt" },
		{ { .mac = "02:00:00:00:00:zz", .name = "eth0" }, "02:00:00:00:00:zz" },
		{ { .mac = "02:00:00:00:00:01", .name = "eth0", .path = "xx/yy" }, "xx/yy" },
		{ { .mac = "02:00:00:00:00:01", .name = "eth0", .addresses = "10.0.0.300/24" },
		  "10.0.0.300" },
		{ { .mac = "02:00:00:00:00:01", .name = "eth0", .addresses = "10.0.0.2/33" },
		  "33" },
		{ { .mac = "02:00:00:00:00:01", .name = "eth0", .mtu = 1ull << 40 }, "MTU" },
	};
	struct error err = ERROR_INIT;
	Grpc__UpdateInterfaceRequest empty = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	CHECK_EQ(mnl_add_link("net0", 1), 0, "no link");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_FAILS(update_interface(h, &rows[i].w, &err), &err, ERROR_INVALID_ARGUMENT,
			    rows[i].text, "row %zu: %d %s", i, err.code, err.msg);
	CHECK_FAILS(call(h, "UpdateInterface", &empty, NULL, &err), &err, ERROR_INVALID_ARGUMENT,
		    "", "%d %s", err.code, err.msg);
	has(MNL_LINKS, "net0 mac 02:00:00:00:00:01 mtu 1500 down");
	/* The kernel's error text reaches the host. */
	CHECK(update_interface(h,
			       &(struct wanted){ .mac = "02:00:00:00:00:01",
						 .name = "eth0",
						 .mtu = 1u << 31 },
			       &err) < 0 &&
		      strstr(err.msg, "MTU of net0"),
	      "%s", err.msg);
	has(MNL_LINKS, "net0 mac 02:00:00:00:00:01 mtu 1500 down");
	remove_links();
}

const struct test tests_interfaces[] = {
	{ "name, MTU, flags and exact addresses of an interface", an_interface },
	{ "interfaces whose names clash keep their routes", names_that_clash },
	{ "an interface that appears while the call waits", a_late_interface },
	{ "an interface that never appears: Link not found after one wait", one_that_never_comes },
	{ "the only card may have another hardware address; one of two may not", the_only_card },
	{ "invalid interfaces", bad_interfaces },
};
const size_t n_tests_interfaces = ARRAY_LEN(tests_interfaces);
