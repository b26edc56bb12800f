/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of agent/guest keep between calls. Plain data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/loop.h"

struct jobs;
struct device_watch;
struct clock_keeper;
struct memory_watch;

/* What the guest works with: all of it outlives it. */
struct guest_parts {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	struct device_watch *devices;
	bool is_pid1; /* our init is the guest's: nobody else keeps the clock */
};

struct guest {
	struct guest_parts parts;
	struct clock_keeper *clock; /* NULL: there is nothing to keep it by */
	struct memory_watch *memory;
	uint64_t scrapes;      /* GetMetrics so far */
	uint64_t memory_total; /* bytes of memory for which limits are set; see memory_limits.h */
};
