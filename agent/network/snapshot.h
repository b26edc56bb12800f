/* SPDX-License-Identifier: Apache-2.0 */
/* Routes as requests that bring them back, so that a change that fails can be taken back. Worker
 * only: may block. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/network/addr_parse.h"
#include "agent/network/rtnl.h"
#include "lib/buf.h"
#include "lib/error.h"

/* Which routes: those of the main table to one of these destinations, which are in the order of
 * net_address_compare(); or, if link is not 0, those of any table that leave by that interface
 * and are not the kernel's own. */
struct net_snapshot_of {
	const struct net_address *destinations;
	size_t n_destinations;
	uint32_t link;
};

struct net_snapshot {
	const struct net_snapshot_of *of;
	/* struct nlmsghdr, one after the other */
	struct buf messages;
	/* where each begins */
	size_t *at;
	size_t n, room;
};

/* -1 and err. The caller releases; `of` must stay. */
int net_snapshot_take(struct rtnl *r, const struct net_snapshot_of *of, struct net_snapshot *out,
		      struct error *err);
void net_snapshot_release(struct net_snapshot *s);

/* Removes the routes that were not there (but not those of a link), then adds those that are
 * missing. 0; -1 and err about the first that could not be brought back: the others are. */
int net_snapshot_restore(struct rtnl *r, const struct net_snapshot *former, struct error *err);
