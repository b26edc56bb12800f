/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of a cgroup and of network interfaces, as a flat list of numbers that a worker can
 * send. Files that are missing or malformed are skipped. Worker side: may block (the kernel adds up
 * per-CPU counters). Source: Documentation/admin-guide/cgroup-v2.rst, proc_pid_net(5).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum stat_kind {
	/* in ns, as the next three */
	STAT_CPU_TOTAL,
	STAT_CPU_USER,
	STAT_CPU_SYSTEM,
	STAT_CPU_THROTTLED_TIME,
	STAT_CPU_PERIODS,
	STAT_CPU_THROTTLED,
	/* in bytes; a missing limit is UINT64_MAX */
	STAT_MEMORY_USAGE,
	STAT_MEMORY_PEAK,
	STAT_MEMORY_FAILCNT,
	STAT_MEMORY_LIMIT,
	STAT_SWAP_USAGE,
	STAT_SWAP_PEAK,
	STAT_SWAP_FAILCNT,
	STAT_SWAP_LIMIT,
	/* name: a key of memory.stat, or one made from memory.pressure */
	STAT_MEMORY_STAT,
	STAT_PIDS_CURRENT,
	STAT_PIDS_LIMIT,
	/* major:minor of the device; name: a key of io.stat */
	STAT_IO,
	/* name: the page size */
	STAT_HUGETLB_USAGE,
	STAT_HUGETLB_FAILCNT,
	/* name: the interface; major: enum stat_net */
	STAT_NET,
};

enum stat_net {
	STAT_RX_BYTES,
	STAT_RX_PACKETS,
	STAT_RX_ERRORS,
	STAT_RX_DROPPED,
	STAT_TX_BYTES,
	STAT_TX_PACKETS,
	STAT_TX_ERRORS,
	STAT_TX_DROPPED,
	STAT_NET_FIELDS,
};

#define STAT_NAME_MAX 40

/* One number. Has no padding, which would be sent uninitialised. */
struct stat_record {
	uint32_t kind;
	uint32_t major, minor;
	/* NUL-terminated, padded with NUL */
	char name[STAT_NAME_MAX];
	uint32_t unused;
	uint64_t value;
};

/* The most records of one container: enough for 100 disks and all of memory.stat. */
#define STATS_MAX 4096

struct stats {
	/* freed by the caller */
	struct stat_record *list;
	size_t n, room;
};

/* Appends the counters of the cgroup that fd is open on, which may be removed at the same time.
 * Returns 0, or -1 and sets err if memory runs out. */
int cgroup_stats_read(int fd, struct stats *stats, struct error *err);

/* Appends the counters of the interfaces in the caller's network namespace, except loopback.
 * Returns 0, or -1 and sets err if memory runs out. */
int net_stats_read(int proc_fd, struct stats *stats, struct error *err);
