/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface indexes as of the last full listing. They are hints only, which the user must
 * check; they avoid a full listing for each of many interfaces in a row.
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

/* Replaces the cache by a worker's message; drops entries that do not fit. Loop side: never
 * blocks. */
void net_ifindex_cache_take(struct net_ifindex_cache *cache, const void *payload, size_t size);
void net_ifindex_cache_release(struct net_ifindex_cache *cache);

/* Returns the index of the only interface with this MAC address, or 0. */
uint32_t net_ifindex_cache_find(const struct net_ifindex_cache *cache, const struct net_mac *mac);

/* Fills the message with as many links as fit into *size bytes, and sets *size to its length. */
void net_ifindex_cache_fill(const struct net_links *links, void *payload, size_t *size);
