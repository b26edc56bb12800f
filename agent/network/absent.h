/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces that were waited for in vain. The Go runtime repeats an UpdateInterface that fails
 * with "Link not found" up to 20 times, after 20 ms, 40 ms, 80 ms and so on, which would be hours:
 * its own limit is 60 s for a request and none for the sum. The Rust runtime repeats 10 times after
 * 100 ms each, whatever the error. So only the first call waits; those that repeat it are answered
 * at once, and the words that make the Go runtime repeat are left out before 30 s are over. Loop
 * side: never blocks, allocates nothing.
 */
#pragma once

#include <stdint.h>

#include "agent/device/pci.h"
#include "agent/network/addr_parse.h"
#include "lib/error.h"

/* Interfaces remembered at a time. The oldest makes room for another, which costs one more wait. */
#define NET_ABSENT_MAX 16

/* The series ends with the first call that comes this long after its beginning. The gap before
 * that call is at most as long as what went before, so that the end comes within 30 s: the Rust
 * runtime's limit, half of the Go runtime's. */
#define NET_ABSENT_SERIES_MS 15000

/* A call that comes this long after the last one repeats nothing: it is the first of a new
 * series. */
#define NET_ABSENT_FORGET_MS 60000

/* After its end a series is remembered for this long: where the first wait alone was as long as
 * a series, the Rust runtime goes on all the same. */
#define NET_ABSENT_OVER_MS 1000

struct net_interface;

/* begun_ns 0: unused. */
struct net_absent_one {
	struct net_mac mac;
	bool has_path;
	struct pci_path path;
	uint64_t begun_ns, last_ns;
};

struct net_absent {
	struct net_absent_one list[NET_ABSENT_MAX];
};

/* Tells whether this interface was waited for already. */
bool net_absent_is_known(const struct net_absent *a, const struct net_interface *wanted,
			 uint64_t now_ns);

/* Remembers that the interface is not there and completes err, which the worker has begun ("Link
 * not found ..."). waited_ms: how long the first call waits. */
void net_absent_report(struct net_absent *a, const struct net_interface *wanted, uint64_t waited_ms,
		       uint64_t now_ns, struct error *err);

/* The interface has come. */
void net_absent_forget(struct net_absent *a, const struct net_interface *wanted);
