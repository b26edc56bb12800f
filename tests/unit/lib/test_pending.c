/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for operations: cancelled or ended, once, in any order and from anywhere. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/pending.h"

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

	cr_assert_eq(&op->pending, p);
	cr_assert_not(pending_is_wanted(p));
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

	cr_assert(op);
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
	cr_assert_eq(live, 0, "%d operations are left", live);
}

TestSuite(pending, .init = begin, .fini = end);

Test(pending, cancel_before_completion_drops_the_operation)
{
	struct holder h = { 0 };

	operation_start(&h);
	pending_cancel(&h.pending);
	cr_assert_null(h.pending);
	cr_assert_eq(live, 0);
	cr_assert_eq(h.called, 0);
}

Test(pending, work_that_goes_on_does_not_call_back)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	op->goes_on = true;
	cr_assert(pending_is_wanted(&op->pending));
	pending_cancel(&h.pending);
	cr_assert_not(pending_is_wanted(&op->pending));
	cr_assert_eq(live, 1);
	operation_finish(op);
	cr_assert_eq(h.called, 0);
}

Test(pending, cancel_after_completion_does_nothing)
{
	struct holder h = { 0 };

	operation_finish(operation_start(&h));
	cr_assert_eq(h.called, 1);
	pending_cancel(&h.pending);
	cr_assert_eq(h.called, 1);
}

Test(pending, an_operation_ends_once)
{
	struct holder h = { 0 };
	struct operation *op = operation_start(&h);

	cr_assert(pending_end(&op->pending));
	cr_assert_not(pending_end(&op->pending));
	operation_finish(op);
	cr_assert_eq(h.called, 0);
}

/* A holder has not cleared its pointer while the operation is still allocated. */
Test(pending, cancel_in_the_callback_does_nothing)
{
	struct holder h = { .victim = &h.pending };
	struct operation *op = operation_start(&h);

	operation_finish_late(op);
	cr_assert_eq(h.called, 1);
	cr_assert_null(h.pending);
}

Test(pending, cancel_of_another_in_the_callback)
{
	struct holder one = { 0 }, two = { 0 };

	one.victim = &two.pending;
	operation_start(&two);
	operation_finish(operation_start(&one));
	cr_assert_eq(one.called, 1);
	cr_assert_eq(two.called, 0);
	cr_assert_null(two.pending);
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
	cr_assert_eq(op->cancelled, 1);
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
	cr_assert_eq(op->cancelled, 1);
	operation_finish(op);
}

Test(pending, nothing_to_cancel)
{
	struct pending *none = NULL;
	struct pending going_on = { .cancel = pending_go_on };

	pending_cancel(&none);
	cr_assert_null(none);
	none = &going_on;
	pending_cancel(&none);
	cr_assert_not(pending_end(&going_on));
}
