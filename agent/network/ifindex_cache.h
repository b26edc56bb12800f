/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the interfaces were when somebody last looked at all of them. Only a hint, which whoever
 * takes it checks: with it many interfaces one after the other do not each cost a look at all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/network/addr_parse.h"
#include "agent/network/links.h"

struct net_ifindex {
	struct net_mac mac;
	uint32_t index;
};

struct net_ifindex_cache {
	struct net_ifindex *list;
	size_t n;
};

/* Takes over a worker's message; what does not fit or cannot be kept is not known. Loop side:
 * never blocks. */
void net_ifindex_cache_take(struct net_ifindex_cache *cache, const void *payload, size_t size);
void net_ifindex_cache_release(struct net_ifindex_cache *cache);

/* The index of the only one with this hardware address, or 0. */
uint32_t net_ifindex_cache_find(const struct net_ifindex_cache *cache, const struct net_mac *mac);

/* The message: as many of the links as there is room for in *size bytes, which then is what they
 * take. */
void net_ifindex_cache_fill(const struct net_links *links, void *payload, size_t *size);
