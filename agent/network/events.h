/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces that come or change, as the kernel tells them (rtnetlink(7), RTMGRP_LINK). Listened
 * for only while somebody waits: an idle guest has none to look at. Loop side: never blocks.
 */
#pragma once

#include "agent/network/addr_parse.h"
#include "lib/error.h"
#include "lib/loop.h"

/* An interface with this hardware address; NULL: some may have come that we do not know of. */
typedef void net_events_fn(const struct net_mac *mac, void *data);

struct net_events {
	struct loop *loop;
	net_events_fn *fn;
	void *data;
	/* who listens */
	unsigned int n;
	int fd;
	struct watch *watch;
};

/* Calls fn from the loop for each, between begin and end. */
void net_events_init(struct net_events *e, struct loop *loop, net_events_fn *fn, void *data);

/* Calls fn for each interface in what was received from the kernel: `size` bytes, aligned for
 * struct nlmsghdr. */
void net_events_parse(void *bytes, int size, net_events_fn *fn, void *data);

/* May be nested. -1 and err. */
int net_events_begin(struct net_events *e, struct error *err);
void net_events_end(struct net_events *e);
