/* SPDX-License-Identifier: Apache-2.0 */
/* Caches interface indexes by MAC address. Filled by interface.c in a worker, kept by network.c on
 * the loop. */
#include "agent/network/ifindex_cache.h"

#include <stdlib.h>
#include <string.h>

void
net_ifindex_cache_take(struct net_ifindex_cache *cache, const void *payload, size_t size)
{
	size_t n = size / sizeof(*cache->list);
	struct net_ifindex *list = n > 0 ? malloc(n * sizeof(*list)) : NULL;

	net_ifindex_cache_release(cache);
	if (!list)
		return;
	memcpy(list, payload, n * sizeof(*list));
	*cache = (struct net_ifindex_cache){ list, n };
}

void
net_ifindex_cache_release(struct net_ifindex_cache *cache)
{
	free(cache->list);
	*cache = (struct net_ifindex_cache){ 0 };
}

uint32_t
net_ifindex_cache_find(const struct net_ifindex_cache *cache, const struct net_mac *mac)
{
	uint32_t found = 0;

	for (size_t i = 0; i < cache->n; i++) {
		if (!net_mac_equal(&cache->list[i].mac, mac))
			continue;
		if (found)
			return 0;
		found = cache->list[i].index;
	}
	return found;
}

void
net_ifindex_cache_fill(const struct net_links *links, void *payload, size_t *size)
{
	struct net_ifindex *to = payload;
	size_t n = 0;

	while (n < links->n && (n + 1) * sizeof(*to) <= *size) {
		to[n] = (struct net_ifindex){ links->list[n].mac, links->list[n].index };
		n++;
	}
	*size = n * sizeof(*to);
}
