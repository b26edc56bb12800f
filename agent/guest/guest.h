/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belongs to the guest as a whole and to no container: its clock, its processors and memory, what it is measured by.
 * Called by agent/rpc; knows no call. Loop side: never blocks, what may is a job.
 */
#pragma once

#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
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

struct guest *guest_new(const struct guest_parts *parts, struct error *err);

/* Sets the agent's own limits that follow from memory, and those of our init: what they start inherits them. */
void guest_own_limits(const struct guest *g);

/* After jobs_free(). NULL is allowed. */
void guest_free(struct guest *g);
