/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of a loop as a binary heap: setting or cancelling one takes O(log n) steps. Each
 * parked call with a timeout has one, and a host may have 4,096 of them on each connection. Used
 * only by loop.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* As in lib/loop.h. */
typedef void timer_fn(void *data);

struct timer {
	struct timers *owner;
	/* Its index in the heap. */
	size_t at;
	uint64_t due_ns;
	/* Order of setting, for timers that are due at the same time. */
	uint64_t order;
	timer_fn *fn;
	void *data;
};

/* All zero if empty. */
struct timers {
	struct timer **heap;
	size_t n, room;
	uint64_t order;
};

/* Sets a timer. Returns NULL and err if memory is exhausted. */
struct timer *timers_add(struct timers *t, uint64_t due_ns, timer_fn *fn, void *data,
			 struct error *err);

/* Returns the timer that is due first, or NULL. */
struct timer *timers_first(const struct timers *t);

/* Removes and frees the timer. */
void timers_remove(struct timer *timer);

/* Frees all timers. */
void timers_release(struct timers *t);
