/* SPDX-License-Identifier: Apache-2.0 */
/* Hints of where interfaces are. Filled by interface.c in a worker, kept by network.c on the loop. */
#include "agent/network/ifindex_cache.h"

#include <stdlib.h>
#include <string.h>

void
net_seen_take(struct net_seen *seen, const void *payload, size_t size)
{
	size_t n = size / sizeof(*seen->list);
	struct net_seen_link *list = n > 0 ? malloc(n * sizeof(*list)) : NULL;

	net_seen_release(seen);
	if (!list)
		return;
	memcpy(list, payload, n * sizeof(*list));
	*seen = (struct net_seen){ list, n };
}

void
net_seen_release(struct net_seen *seen)
{
	free(seen->list);
	*seen = (struct net_seen){ 0 };
}

uint32_t
net_seen_find(const struct net_seen *seen, const struct net_mac *mac)
{
	uint32_t found = 0;

	for (size_t i = 0; i < seen->n; i++) {
		if (!net_mac_equal(&seen->list[i].mac, mac))
			continue;
		if (found)
			return 0;
		found = seen->list[i].index;
	}
	return found;
}

void
net_seen_fill(const struct net_links *links, void *payload, size_t *size)
{
	struct net_seen_link *to = payload;
	size_t n = 0;

	while (n < links->n && (n + 1) * sizeof(*to) <= *size) {
		to[n] = (struct net_seen_link){ links->list[n].mac, links->list[n].index };
		n++;
	}
	*size = n * sizeof(*to);
}
