/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of operations: order, independence of ids, cancelling, detaching, and that nothing is leaked. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sandbox/queue.h"

static struct op_queues queues;
static char trace[256]; /* what has happened, in order */
static int live;        /* operations that are not freed */

struct step {
	struct op op;
	char name;
	enum op_outcome says;
	bool finishes_when_cancelled;
};

static void
note(char what, char name)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%c%c ", what, name);
}

static enum op_outcome
step_run(struct op *op, struct error *err)
{
	struct step *step = (struct step *)op;

	note('r', step->name);
	if (step->says == OP_FAILED)
		error_set(err, ERROR_INTERNAL, "%c failed", step->name);
	return step->says;
}

static void
step_cancel(struct op *op, const struct error *why)
{
	struct step *step = (struct step *)op;

	note('c', step->name);
	if (step->finishes_when_cancelled)
		op_finish(op, why);
}

static void
step_free(struct op *op)
{
	live--;
	free(op);
}

static const struct op_class step_class = {
	.name = "step",
	.run = step_run,
	.cancel = step_cancel,
	.free = step_free,
};

static const struct op_class staying_class = {
	.name = "staying step",
	.run = step_run,
	.free = step_free,
	.stays = true,
};

static void
step_done(const struct error *err, void *data)
{
	char name = *(const char *)data;

	note(err->code == ERROR_OK ? 'd' : 'f', name);
}

static enum op_outcome
submit(const char *id, const char *name, enum op_outcome says, const struct op_class *class,
       struct op **op)
{
	struct step *step = calloc(1, sizeof(*step));
	struct error err = ERROR_INIT;

	cr_assert(step);
	live++;
	step->op.class = class;
	step->name = *name;
	step->says = says;
	step->finishes_when_cancelled = true;
	if (op)
		*op = &step->op;
	return op_submit(&queues, id, &step->op, step_done, (void *)(uintptr_t)name, &err);
}

static void
begin(void)
{
	op_queues_init(&queues);
	trace[0] = '\0';
	live = 0;
}

static void
end(void)
{
	cr_assert(op_queues_are_empty(&queues));
	cr_assert_eq(live, 0, "%d operations are left", live);
}

TestSuite(queue, .init = begin, .fini = end);

Test(queue, an_outcome_at_once_is_returned_and_done_is_not_called)
{
	cr_assert_eq(submit("c", "a", OP_DONE, &step_class, NULL), OP_DONE);
	cr_assert_eq(submit("c", "b", OP_FAILED, &step_class, NULL), OP_FAILED);
	cr_assert_str_eq(trace, "ra rb ");
}

Test(queue, one_id_in_order_of_arrival)
{
	struct op *a, *c;

	cr_assert_eq(submit("c", "a", OP_PENDING, &step_class, &a), OP_PENDING);
	cr_assert_eq(submit("c", "b", OP_DONE, &step_class, NULL), OP_PENDING);
	cr_assert_eq(submit("c", "c", OP_PENDING, &step_class, &c), OP_PENDING);
	cr_assert_eq(submit("c", "d", OP_FAILED, &step_class, NULL), OP_PENDING);
	cr_assert_str_eq(trace, "ra ");
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra da rb db rc ");
	cr_assert_eq(op_queue_running(&queues, "c"), c);
	op_finish(c, NULL);
	cr_assert_str_eq(trace, "ra da rb db rc dc rd fd ");
}

Test(queue, ids_side_by_side)
{
	struct op *a, *b;

	submit("c1", "a", OP_PENDING, &step_class, &a);
	submit("c2", "b", OP_PENDING, &step_class, &b);
	cr_assert_str_eq(trace, "ra rb ");
	op_finish(b, NULL);
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra rb db da ");
}

Test(queue, cancelling_what_waits_leaves_what_runs_and_what_stays)
{
	struct op *a;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_ABORTED, "because");
	submit("c", "a", OP_PENDING, &step_class, &a);
	submit("c", "b", OP_DONE, &step_class, NULL);
	submit("c", "s", OP_DONE, &staying_class, NULL);
	submit("c", "e", OP_DONE, &step_class, NULL);
	op_queue_cancel_waiting(&queues, "c", &why);
	cr_assert_str_eq(trace, "ra fb fe ");
	op_cancel(a, &why);
	cr_assert_str_eq(trace, "ra fb fe ca fa rs ds ");
}

Test(queue, a_running_one_is_cancelled_once)
{
	struct op *a;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_ABORTED, "because");
	submit("c", "a", OP_PENDING, &step_class, &a);
	((struct step *)a)->finishes_when_cancelled = false;
	op_cancel(a, &why);
	op_cancel(a, &why);
	op_detach(a, true);
	cr_assert_str_eq(trace, "ra ca ");
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra ca ");
}

Test(queue, detached_waiting_ones_are_dropped_or_run_silently)
{
	struct op *a, *b, *c;

	submit("c", "a", OP_PENDING, &step_class, &a);
	submit("c", "b", OP_DONE, &step_class, &b);
	submit("c", "c", OP_DONE, &step_class, &c);
	op_detach(b, true);
	op_detach(c, false);
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra da rc ");
}

Test(queue, answered_early_and_goes_on)
{
	struct op *a;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_DEADLINE_EXCEEDED, "late");
	submit("c", "a", OP_PENDING, &step_class, &a);
	op_answer(a, &why);
	op_answer(a, &why);
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra fa ");
}

/* A reply that cannot be sent ends its connection, and with it the other calls. */
static struct op *to_detach;

static void
detach_another(const struct error *err, void *data)
{
	(void)err;
	(void)data;
	op_detach(to_detach, true);
}

Test(queue, done_may_detach_others_of_the_queue)
{
	struct op *a;

	submit("c", "a", OP_PENDING, &step_class, &a);
	op_redirect(a, detach_another, NULL);
	submit("c", "b", OP_DONE, &step_class, &to_detach);
	op_finish(a, NULL);
	cr_assert_str_eq(trace, "ra ");
}

Test(queue, release_frees_without_calling_anybody)
{
	submit("c", "a", OP_PENDING, &step_class, NULL);
	submit("c", "b", OP_DONE, &step_class, NULL);
	submit("d", "c", OP_PENDING, &step_class, NULL);
	op_queues_release(&queues);
	cr_assert_str_eq(trace, "ra rc ");
}
