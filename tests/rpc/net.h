/* SPDX-License-Identifier: Apache-2.0 */
/* One-line requests of the network calls for the tests of this directory. */
#pragma once

#include "tests/rpc/harness.h"
#include "tests/rpc/mnl.h"
#include "types.pb-c.h"

#define ADDRESSES_MAX 8

/* An interface as requested by a host; addresses: "10.0.0.2/24 fd00::2/64". */
struct wanted {
	const char *mac, *name, *path, *addresses;
	uint64_t mtu;
	uint32_t flags;
};

/* The request, whose parts point to each other: it must not be moved. */
struct interface {
	Grpc__UpdateInterfaceRequest q;
	Types__Interface i;
	Types__IPAddress address[ADDRESSES_MAX], *list[ADDRESSES_MAX];
	char text[256];
};
void make_interface(struct interface *to, const struct wanted *w);

/* Calls UpdateInterface and checks its reply. Returns 0, or -1 and err. */
int update_interface(struct harness *h, const struct wanted *w, struct error *err);

struct route {
	const char *dest, *gateway, *device, *source;
	uint32_t scope, flags, mtu;
	bool is_v6;
};

/* Calls UpdateRoutes. Returns the number of routes in the reply, or -1 and err. */
int update_routes(struct harness *h, const struct route *list, size_t n, struct error *err);

/* Fails the test and shows the list if the line is missing. */
void has(enum mnl_what what, const char *line);

/* Create a link that becomes eth0 with 10.0.0.2/24 and fd00::2/64; remove all links of the
 * tests. */
void make_eth0(struct harness *h);
void remove_links(void);
