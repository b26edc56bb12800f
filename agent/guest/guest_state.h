/* SPDX-License-Identifier: Apache-2.0 */
/* The state that the files of agent/guest share. Plain data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/list.h"
#include "lib/loop.h"

struct jobs;
struct device_watch;
struct clock_keeper;
struct memory_watch;
struct scrape;

/* The parts that the guest uses. They must outlive it. */
struct guest_parts {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	struct device_watch *devices;
	/* tatami's init is process 1, so no other program synchronises the clock */
	bool is_pid1;
};

struct guest {
	struct guest_parts parts;
	/* NULL if the clock is not synchronised */
	struct clock_keeper *clock;
	struct memory_watch *memory;
	/* number of GetMetrics calls */
	uint64_t scrapes;
	/* bytes of memory for which limits are set; see memory_limits.h */
	uint64_t memory_total;
	/* see scrape.c; NULL: none */
	struct scrape *scrape, *scrape_next;
	struct list scrape_answers;
	struct post scrape_post;
};
