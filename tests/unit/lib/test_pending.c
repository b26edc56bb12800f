/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for operations: cancelled or ended, once, in any order and from anywhere. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/pending.h"
#include "tests/support/check.h"

/* Number of operations that are not freed. */
static int live;

struct holder {
	struct pending *pending;
	int called;
	/* The wait that the callback cancels. */
	struct pending **victim;
};

struct operation {
	int before;
	struct pending pending;
	struct holder *holder;
	int cancelled;
	/* The work continues without its holder. */
	bool goes_on;
	struct pending **victim;
};

static void
operation_unwanted(struct pending *p)
{
	struct operation *op = pending_entry(p, struct operation, pending);

	REQUIRE_EQ(&op->pending, p);
	REQUIRE(!pending_is_wanted(p));
	op->cancelled++;
	if (op->victim)
		pending_cancel(op->victim);
	if (op->goes_on)
		return;
	live--;
	free(op);
}

static struct operation *
operation_start(struct holder *h)
{
	struct operation *op = calloc(1, sizeof(*op));

	REQUIRE(op);
	live++;
	op->pending.cancel = operation_unwanted;
	op->holder = h;
	h->pending = &op->pending;
	return op;
}

static void
holder_called(struct holder *h)
{
	h->called++;
	if (h->victim)
		pending_cancel(h->victim);
	h->pending = NULL;
}

/* Ends like operations that free themselves before they call back. */
static void
operation_finish(struct operation *op)
{
	struct holder *h = pending_end(&op->pending) ? op->holder : NULL;

	live--;
	free(op);
	if (!h)
		return;
	h->pending = NULL;
	holder_called(h);
}

/* Ends like operations that call back first. */
static void
operation_finish_late(struct operation *op)
{
	if (pending_end(&op->pending))
		holder_called(op->holder);
	live--;
	free(op);
}

static void
begin(void)
{
	live = 0;
}

static void
end(void)
{
	REQUIRE_EQ(live, 0, "%d operations are left", live);
}

TestSuite(pending, .init = begin, .fini = end);

Test(pending, cancel_before_completion_drops_the_operation)
{
	struct holder h = { 0 };

	operation_start(&h);
	pending_cancel(&h.pending);
	REQUIRE_EQ(h.pending, NULL);
	REQUIRE_EQ(live, 0);
	REQUIRE_EQ(h.called, 0);
}

Test(pending, work_that_goes_on_does_not_call_back)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	op->goes_on = true;
	REQUIRE(pending_is_wanted(&op->pending));
	pending_cancel(&h.pending);
	REQUIRE(!pending_is_wanted(&op->pending));
	REQUIRE_EQ(live, 1);
	operation_finish(op);
	REQUIRE_EQ(h.called, 0);
}

Test(pending, cancel_after_completion_does_nothing)
{
	struct holder h = { 0 };

	operation_finish(operation_start(&h));
	REQUIRE_EQ(h.called, 1);
	pending_cancel(&h.pending);
	REQUIRE_EQ(h.called, 1);
}

Test(pending, an_operation_ends_once)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	REQUIRE(pending_end(&op->pending));
	REQUIRE(!pending_end(&op->pending));
	operation_finish(op);
	REQUIRE_EQ(h.called, 0);
}

/* A holder has not cleared its pointer while the operation is still allocated. */
Test(pending, cancel_in_the_callback_does_nothing)
{
	struct holder h = { .victim = &h.pending };
	struct operation *op = operation_start(&h);

	operation_finish_late(op);
	REQUIRE_EQ(h.called, 1);
	REQUIRE_EQ(h.pending, NULL);
}

Test(pending, cancel_of_another_in_the_callback)
{
	struct holder one = { 0 }, two = { 0 };

	one.victim = &two.pending;
	operation_start(&two);
	operation_finish(operation_start(&one));
	REQUIRE_EQ(one.called, 1);
	REQUIRE_EQ(two.called, 0);
	REQUIRE_EQ(two.pending, NULL);
}

Test(pending, double_cancel_reaches_the_operation_once)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	op->goes_on = true;
	pending_cancel(&h.pending);
	pending_cancel(&h.pending);
	/* Through another pointer to it. */
	h.pending = &op->pending;
	pending_cancel(&h.pending);
	REQUIRE_EQ(op->cancelled, 1);
	operation_finish(op);
}

/* Like the end of a call that closes its connection, which ends the call. */
Test(pending, cancel_from_inside_a_cancel_reaches_the_operation_once)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	op->goes_on = true;
	op->victim = &h.pending;
	pending_cancel(&h.pending);
	REQUIRE_EQ(op->cancelled, 1);
	operation_finish(op);
}

Test(pending, nothing_to_cancel)
{
	struct pending *none = NULL;
	struct pending going_on = { .cancel = pending_go_on };

	pending_cancel(&none);
	REQUIRE_EQ(none, NULL);
	none = &going_on;
	pending_cancel(&none);
	REQUIRE(!pending_end(&going_on));
}
