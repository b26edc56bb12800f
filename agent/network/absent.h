/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces that did not appear in time. The Go runtime retries an UpdateInterface that fails with
 * "Link not found" up to 20 times, after 20 ms, 40 ms, 80 ms and so on, which would add up to
 * hours: it limits each request to 60 s, but not the sum. The Rust runtime retries 10 times, 100 ms
 * apart, whatever the error. So only the first call waits, and retries are answered at once; before
 * 30 s have passed, the text that makes the Go runtime retry is left out. Loop side: never blocks,
 * allocates nothing.
 */
#pragma once

#include <stdint.h>

#include "agent/device/pci.h"
#include "agent/network/addr_parse.h"
#include "lib/error.h"

/* Number of interfaces remembered. The oldest one is dropped for a new one, at the cost of one more
 * wait. */
#define NET_ABSENT_MAX 16

/* The series ends with the first call that arrives this long after its beginning. The gap before
 * that call is at most as long as the series so far, so the series ends within 30 s: the limit of
 * the Rust runtime, and half that of the Go runtime. */
#define NET_ABSENT_SERIES_MS 15000

/* A call that arrives this long after the last one is not a retry but the first of a new series. */
#define NET_ABSENT_FORGET_MS 60000

/* A series is remembered for this long after its end: if the first wait alone was as long as a
 * series, the Rust runtime still continues. */
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

/* Returns whether a call has waited for this interface already. */
bool net_absent_is_known(const struct net_absent *a, const struct net_interface *wanted,
			 uint64_t now_ns);

/* Records that the interface is absent and completes err, which the worker has begun ("Link not
 * found ..."). waited_ms: how long the first call waits. */
void net_absent_report(struct net_absent *a, const struct net_interface *wanted, uint64_t waited_ms,
		       uint64_t now_ns, struct error *err);

/* Forgets the interface: it has appeared. */
void net_absent_forget(struct net_absent *a, const struct net_interface *wanted);
