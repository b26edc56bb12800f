/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's interfaces. Worker only: may block. */
#pragma once

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/network/addr_parse.h"
#include "agent/network/rtnl.h"
#include "lib/error.h"

#define NET_KIND_MAX 16

struct net_link {
	/* flags: IFF_* */
	uint32_t index, flags, mtu;
	/* Index of the bridge, bond or failover above it; 0: none. */
	uint32_t master;
	/* Index of the lower device (VLAN, macvlan); 0: none. */
	uint32_t lower;
	/* ARPHRD_* */
	uint16_t type;
	char name[IFNAMSIZ];
	/* "veth", "bridge"; "" for hardware */
	char kind[NET_KIND_MAX];
	struct net_mac mac;
};

struct net_links {
	/* Sorted by index. */
	struct net_link *list;
	size_t n, room;
	const struct net_link **by_name;
};

/* Reads all links. Returns -1 and err on failure. The caller releases out. */
int net_links_read(struct rtnl *r, struct net_links *out, struct error *err);
void net_links_release(struct net_links *links);

/* Returns the link with this index, NULL if there is none. */
const struct net_link *net_links_by_index(const struct net_links *links, uint32_t index);
const struct net_link *net_links_by_name(const struct net_links *links, const char *name);

/* Reads one link by its name or index. Returns 0; 1 if there is none; -1 and err. */
int net_link_get(struct rtnl *r, const char *name, struct net_link *out, struct error *err);
int net_link_get_at(struct rtnl *r, uint32_t index, struct net_link *out, struct error *err);

/* Makes a request to change the link; the caller adds attributes. Returns NULL if out of memory. */
struct nl_msg *net_link_change(uint32_t index, uint32_t flags, uint32_t mask);
