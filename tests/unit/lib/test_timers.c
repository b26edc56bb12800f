/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of timers: order, removal, and the time that many of them take. */
#include <stdlib.h>
#include <time.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/loop.h"
#include "lib/timers.h"
#include "tests/support/check.h"

static struct error err;

static void
nothing(void *data)
{
	(void)data;
}

static struct timer *
add(struct timers *t, uint64_t due_ns)
{
	struct timer *timer = timers_add(t, due_ns, nothing, NULL, &err);

	REQUIRE(timer, "%s", err.msg);
	return timer;
}

/* Checks that each timer knows its index and is not due later than its children. */
static void
is_a_heap(const struct timers *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct timer *parent = t->heap[(i - 1) / 2 * (i > 0)];

		REQUIRE_EQ(t->heap[i]->at, i);
		REQUIRE(parent->due_ns < t->heap[i]->due_ns ||
			(parent->due_ns == t->heap[i]->due_ns &&
			 parent->order <= t->heap[i]->order));
	}
}

/* Random times, many of them equal, with every third timer removed again. */
Test(timers, come_out_in_order)
{
	unsigned int seed = 1;

	for (size_t n = 1; n < 300; n += 7) {
		struct timer *list[300];
		struct timers t = { 0 };
		uint64_t due = 0, order = 0;
		size_t left = n;

		for (size_t i = 0; i < n; i++)
			list[i] = add(&t, (uint64_t)(rand_r(&seed) % 40));
		is_a_heap(&t);
		for (size_t i = 0; i < n; i += 3, left--) {
			timers_remove(list[i]);
			is_a_heap(&t);
		}
		while (timers_first(&t)) {
			const struct timer *first = timers_first(&t);

			REQUIRE(first->due_ns > due ||
					(first->due_ns == due && first->order >= order),
				"of those that are due at the same time the first set is first");
			due = first->due_ns;
			order = first->order;
			timers_remove(timers_first(&t));
			left--;
		}
		REQUIRE_EQ(left, 0);
		REQUIRE_LE(t.room, 64, "room for %zu is kept", t.room);
		timers_release(&t);
	}
}

Test(timers, released_with_some_left)
{
	struct timers t = { 0 };
	struct timer *timer;

	for (uint64_t i = 0; i < 100; i++)
		add(&t, 100 - i);
	timers_release(&t);
	REQUIRE_EQ(timers_first(&t), NULL);
	timer = add(&t, 1);
	REQUIRE_EQ(timers_first(&t), timer);
	timers_release(&t);
}

/* The maximum number of parked calls: a sorted list would take minutes of processor time. */
Test(timers, many)
{
	const size_t n = 64u * 4096u;
	auto_free struct timer **list = calloc(n, sizeof(struct timer *));
	struct loop *loop = loop_new(&err);
	clock_t begin = clock();

	REQUIRE(list && loop);
	for (size_t i = 0; i < n; i++) {
		list[i] = loop_timer(loop, 60000 + i, nothing, NULL, &err);
		REQUIRE(list[i]);
	}
	for (size_t i = n; i-- > 0;)
		timer_cancel(list[i]);
	CHECK_LT(clock() - begin, 20 * CLOCKS_PER_SEC);
	loop_free(loop);
}
