/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of timers: heap[0] is due first, the parent of heap[i] is heap[(i - 1) / 2]. Called by
 * loop.c. */
#include "lib/timers.h"

#include <stdbool.h>
#include <stdlib.h>

#define ROOM_MIN 16

static bool timers_resize(struct timers *t, size_t room);
static void timers_rise(struct timers *t, size_t at, struct timer *timer);
static void timers_sink(struct timers *t, size_t at, struct timer *timer);

static bool
timers_is_before(const struct timer *a, const struct timer *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

struct timer *
timers_add(struct timers *t, uint64_t due_ns, timer_fn *fn, void *data, struct error *err)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	if (!timer ||
	    (t->n == t->room && !timers_resize(t, t->room > 0 ? 2 * t->room : ROOM_MIN))) {
		free(timer);
		error_nomem(err, "setting a timer");
		return NULL;
	}
	timer->owner = t;
	timer->due_ns = due_ns;
	timer->order = t->order++;
	timer->fn = fn;
	timer->data = data;
	timers_rise(t, t->n++, timer);
	return timer;
}

/* Resizes the heap to `room` timers, but at least to the current number. */
static bool
timers_resize(struct timers *t, size_t room)
{
	struct timer **heap = reallocarray(t->heap, room, sizeof(struct timer *));

	if (!heap)
		return false;
	t->heap = heap;
	t->room = room;
	return true;
}

static void
timers_put(struct timers *t, size_t at, struct timer *timer)
{
	t->heap[at] = timer;
	timer->at = at;
}

/* Moves the timer at index `at` up to its position. */
static void
timers_rise(struct timers *t, size_t at, struct timer *timer)
{
	while (at > 0 && timers_is_before(timer, t->heap[(at - 1) / 2])) {
		timers_put(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	timers_put(t, at, timer);
}

struct timer *
timers_first(const struct timers *t)
{
	return t->n > 0 ? t->heap[0] : NULL;
}

void
timers_remove(struct timer *timer)
{
	struct timers *t = timer->owner;
	size_t at = timer->at;
	struct timer *last = t->heap[--t->n];

	if (last != timer) {
		if (at > 0 && timers_is_before(last, t->heap[(at - 1) / 2]))
			timers_rise(t, at, last);
		else
			timers_sink(t, at, last);
	}
	free(timer);
	if (t->room > ROOM_MIN && t->n < t->room / 4)
		(void)timers_resize(t, t->room / 2);
}

/* Moves the timer at index `at` down to its position. */
static void
timers_sink(struct timers *t, size_t at, struct timer *timer)
{
	for (size_t child = 2 * at + 1; child < t->n; child = 2 * at + 1) {
		if (child + 1 < t->n && timers_is_before(t->heap[child + 1], t->heap[child]))
			child++;
		if (!timers_is_before(t->heap[child], timer))
			break;
		timers_put(t, at, t->heap[child]);
		at = child;
	}
	timers_put(t, at, timer);
}

void
timers_release(struct timers *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->heap[i]);
	free((void *)t->heap);
	*t = (struct timers){ 0 };
}
