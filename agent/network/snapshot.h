/* SPDX-License-Identifier: Apache-2.0 */
/* Routes saved as requests that restore them, so that a failed change can be rolled back. Worker
 * only: may block. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/network/addr_parse.h"
#include "agent/network/rtnl.h"
#include "lib/buf.h"
#include "lib/error.h"

/* The routes to save: those of the main table to one of these destinations, which are sorted by
 * net_address_compare(); or, if link is not 0, those of any table through that interface, except
 * the kernel's own. */
struct net_snapshot_of {
	const struct net_address *destinations;
	size_t n_destinations;
	uint32_t link;
};

struct net_snapshot {
	const struct net_snapshot_of *of;
	/* struct nlmsghdr in a row. */
	struct buf messages;
	/* The offset of each. */
	size_t *at;
	size_t n, room;
};

/* Takes a snapshot. Returns -1 and err on failure. The caller releases it; `of` must stay valid. */
int net_snapshot_take(struct rtnl *r, const struct net_snapshot_of *of, struct net_snapshot *out,
		      struct error *err);
void net_snapshot_release(struct net_snapshot *s);

/* Removes the routes that are not in the snapshot (except for a snapshot of a link), then adds
 * those that are missing. Returns 0, or -1 and err of the first failure; the other routes are
 * restored. */
int net_snapshot_restore(struct rtnl *r, const struct net_snapshot *former, struct error *err);
