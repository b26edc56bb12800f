/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the network calls in one line each. For the tests of this directory. */
#pragma once

#include "tests/rpc/harness.h"
#include "tests/rpc/mnl.h"
#include "types.pb-c.h"

#define ADDRESSES_MAX 8

/* As a host would ask for it; addresses: "10.0.0.2/24 fd00::2/64". */
struct wanted {
	const char *mac, *name, *path, *addresses;
	uint64_t mtu;
	uint32_t flags;
};

/* The request for it, whose parts point to each other: it must not move. */
struct interface {
	Grpc__UpdateInterfaceRequest q;
	Types__Interface i;
	Types__IPAddress address[ADDRESSES_MAX], *list[ADDRESSES_MAX];
	char text[256];
};
void make_interface(struct interface *to, const struct wanted *w);

/* UpdateInterface, whose reply is checked: 0, or -1 and err. */
int update_interface(struct harness *h, const struct wanted *w, struct error *err);

struct route {
	const char *dest, *gateway, *device, *source;
	uint32_t scope, flags, mtu;
	bool is_v6;
};

/* UpdateRoutes: the number of routes in the reply, or -1 and err. */
int update_routes(struct harness *h, const struct route *list, size_t n, struct error *err);

/* Fails the test, and shows what there is, if there is no such line. */
void has(struct harness *h, enum mnl_what what, const char *line);

/* A link that becomes eth0 with 10.0.0.2/24 and fd00::2/64; and the end of all links that tests make. */
void make_eth0(struct harness *h);
void remove_links(void);
