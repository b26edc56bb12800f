/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network as libmnl sees it: made and read with another library than the agent's, so that neither's mistakes hide
 * the other's. For the tests and benchmarks; in the caller's network namespace. Blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mnl_what {
	MNL_LINKS,     /* "eth0 mac 02:00:00:00:00:01 mtu 1400 up noarp" */
	MNL_ADDRESSES, /* "eth0 10.0.0.2/24 brd 10.0.0.255" */
	MNL_ROUTES, /* "10.1.0.0/16 via 10.0.0.1 dev eth0 src 10.0.0.2 scope 0 mtu 1400 onlink" */
	MNL_NEIGHBOURS, /* "10.0.0.9 dev eth0 mac 02:00:00:00:00:09 state 128" */
};

/* A line for each, in the kernel's order; of routes those of the main tables, next hops as routes. At most size-1 bytes.
 * The number of lines, or -1 and errno. */
int mnl_read(enum mnl_what what, char *out, size_t size);

/* Is there such a line? Read anew each time. */
bool mnl_has(enum mnl_what what, const char *line);

/* Makes a link of a kind that this kernel has (bridge or dummy) with the hardware address 02:00:00:00:xx:xx of
 * `number`; one that is there is first removed. 0, or -1 and errno. */
int mnl_add_link(const char *name, uint16_t number);
/* The same of a kind that costs the kernel little (dummy or ifb), but may not be able to change its hardware address. */
int mnl_add_plain_link(const char *name, uint16_t number);
int mnl_remove_link(const char *name);

/* Makes an IPv4 route with several next hops, all by the link `name`. 0, or -1 and errno. */
int mnl_add_hops(const char *name, const char *dest, uint8_t len, const char *const *gateways,
		 size_t n);
