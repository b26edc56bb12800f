/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of a loop, as a binary heap: setting or cancelling one takes O(log n) steps. Each parked call with a timeout
 * has one, and a host may have 4,096 of them on each connection. Only loop.c uses this. Never blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* As in lib/loop.h. */
typedef void timer_fn(void *data);

struct timer {
	struct timers *owner;
	size_t at; /* its place in the heap */
	uint64_t due_ns;
	uint64_t order; /* of those that are due at the same time the first set fires first */
	timer_fn *fn;
	void *data;
};

/* All zero: empty. */
struct timers {
	struct timer **heap;
	size_t n, room;
	uint64_t order;
};

/* Sets a timer. NULL and err when memory is out. */
struct timer *timers_add(struct timers *t, uint64_t due_ns, timer_fn *fn, void *data,
			 struct error *err);

/* Returns the one that is due first, NULL if there is none. */
struct timer *timers_first(const struct timers *t);

/* Takes the timer out and frees it. */
void timers_remove(struct timer *timer);

/* Frees all. */
void timers_release(struct timers *t);
