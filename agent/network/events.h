/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link events of the kernel (rtnetlink(7), RTMGRP_LINK): interfaces that appear or change. The
 * socket is open only while an operation waits, so an idle guest processes none. Loop side: never
 * blocks.
 */
#pragma once

#include "agent/network/addr_parse.h"
#include "lib/error.h"
#include "lib/loop.h"

/* Called for an interface with this MAC address; NULL: events were lost, any interface may have
 * appeared. */
typedef void net_events_fn(const struct net_mac *mac, void *data);

struct net_events {
	struct loop *loop;
	net_events_fn *fn;
	void *data;
	/* Number of listeners. */
	unsigned int n;
	int fd;
	struct watch *watch;
};

/* Initialises e; fn is called from the loop for each event between begin and end. */
void net_events_init(struct net_events *e, struct loop *loop, net_events_fn *fn, void *data);

/* Calls fn for each interface in a message received from the kernel: `size` bytes, aligned for
 * struct nlmsghdr. */
void net_events_parse(void *bytes, int size, net_events_fn *fn, void *data);

/* Starts listening; nests. Returns -1 and err on failure. */
int net_events_begin(struct net_events *e, struct error *err);
void net_events_end(struct net_events *e);
