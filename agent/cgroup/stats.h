/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cgroup and network interfaces have used, as a flat list of numbers that a worker can send. A file that is
 * missing or absurd leaves its numbers out. Worker only: may block (the kernel adds up its counters).
 * Source: Documentation/admin-guide/cgroup-v2.rst, proc_pid_net(5).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum stat_kind {
	STAT_CPU_TOTAL, /* ns, as the next three */
	STAT_CPU_USER,
	STAT_CPU_SYSTEM,
	STAT_CPU_THROTTLED_TIME,
	STAT_CPU_PERIODS,
	STAT_CPU_THROTTLED,
	STAT_MEMORY_USAGE, /* bytes; limits are UINT64_MAX where there is none */
	STAT_MEMORY_PEAK,
	STAT_MEMORY_FAILCNT,
	STAT_MEMORY_LIMIT,
	STAT_SWAP_USAGE,
	STAT_SWAP_PEAK,
	STAT_SWAP_FAILCNT,
	STAT_SWAP_LIMIT,
	STAT_MEMORY_STAT, /* name: a key of memory.stat, or of memory.pressure */
	STAT_PIDS_CURRENT,
	STAT_PIDS_LIMIT,
	STAT_IO,            /* major:minor, name: a key of io.stat */
	STAT_HUGETLB_USAGE, /* name: the page size */
	STAT_HUGETLB_FAILCNT,
	STAT_NET, /* name: the interface; major: enum stat_net */
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

/* Without padding that would be sent uninitialised. */
struct stat_record {
	uint32_t kind;
	uint32_t major, minor;
	char name[STAT_NAME_MAX]; /* NUL-ended, padded with NUL */
	uint32_t unused;
	uint64_t value;
};

/* Most records of one container: 100 disks and all of memory.stat. */
#define STATS_MAX 4096

struct stats {
	struct stat_record *list; /* the caller's to free */
	size_t n, room;
};

/* Reads the files of the cgroup that fd is open on, which may be removed meanwhile. */
int cgroup_stats_read(int fd, struct stats *stats, struct error *err);

/* Reads the interfaces of the caller's network namespace, without the loopback. */
int net_stats_read(int proc_fd, struct stats *stats, struct error *err);
