/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network configuration through libmnl: another library than the agent's, so that a fault of one
 * does not hide a fault of the other. For tests and benchmarks; works in the caller's network
 * namespace. Blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mnl_what {
	/* "eth0 mac 02:00:00:00:00:01 mtu 1400 up noarp" */
	MNL_LINKS,
	/* "eth0 10.0.0.2/24 brd 10.0.0.255" */
	MNL_ADDRESSES,
	/* "10.1.0.0/16 via 10.0.0.1 dev eth0 src 10.0.0.2 scope 0 mtu 1400 onlink" */
	MNL_ROUTES,
	/* "10.0.0.9 dev eth0 mac 02:00:00:00:00:09 state 128" */
	MNL_NEIGHBOURS,
};

/* Lists one object per line in the kernel's order; of routes, those of the main tables, with
 * each next hop as a route. Writes at most size-1 bytes. Returns the number of lines, or -1 and
 * errno. */
int mnl_read(enum mnl_what what, char *out, size_t size);

/* Reads the state and returns whether the line exists. */
bool mnl_has(enum mnl_what what, const char *line);

/* Creates a link of a kind that this kernel has (bridge or dummy) with the hardware address
 * 02:00:00:00:xx:xx of `number`; replaces an existing link. Returns 0, or -1 and errno. */
int mnl_add_link(const char *name, uint16_t number);
/* Like mnl_add_link(), for a kind that is cheap in the kernel (dummy or ifb) but may not support
 * changing its hardware address. */
int mnl_add_plain_link(const char *name, uint16_t number);
int mnl_remove_link(const char *name);

/* Adds an IPv4 route with several next hops on the link `name`. Returns 0, or -1 and errno. */
int mnl_add_hops(const char *name, const char *dest, uint8_t len, const char *const *gateways,
		 size_t n);
