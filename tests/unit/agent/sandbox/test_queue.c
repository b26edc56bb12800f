/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of operations: order, independence of ids, aborting, cancelling, and no leaks. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sandbox/queue.h"
#include "lib/log.h"
#include "tests/support/check.h"

static struct op_queues queues;
/* The events so far, in order. */
static char trace[256];
/* The number of operations that are not freed. */
static int live;

struct step {
	struct op op;
	char name;
	enum op_outcome says;
	bool finishes_when_aborted;
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
step_abort(struct op *op, const struct error *why)
{
	struct step *step = (struct step *)op;

	note('a', step->name);
	if (step->finishes_when_aborted)
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
	.abort = step_abort,
	.free = step_free,
};

static const struct op_class lasting_class = {
	.name = "lasting step",
	.run = step_run,
	.abort = step_abort,
	.free = step_free,
	.goes_on = true,
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

	REQUIRE(step);
	live++;
	step->op.class = class;
	step->name = *name;
	step->says = says;
	step->finishes_when_aborted = true;
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
	REQUIRE(list_is_empty(&queues.queues));
	REQUIRE_EQ(live, 0, "%d operations are left", live);
}

TestSuite(queue, .init = begin, .fini = end);

Test(queue, immediate_outcome_is_returned)
{
	REQUIRE_EQ(submit("c", "a", OP_DONE, &step_class, NULL), OP_DONE);
	REQUIRE_EQ(submit("c", "b", OP_FAILED, &step_class, NULL), OP_FAILED);
	REQUIRE_STR(trace, "ra rb ");
}

Test(queue, one_id_in_order_of_arrival)
{
	struct op *a, *c;

	REQUIRE_EQ(submit("c", "a", OP_PENDING, &step_class, &a), OP_PENDING);
	REQUIRE_EQ(submit("c", "b", OP_DONE, &step_class, NULL), OP_PENDING);
	REQUIRE_EQ(submit("c", "c", OP_PENDING, &step_class, &c), OP_PENDING);
	REQUIRE_EQ(submit("c", "d", OP_FAILED, &step_class, NULL), OP_PENDING);
	REQUIRE_STR(trace, "ra ");
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra da rb db rc ");
	REQUIRE_EQ(op_queue_running(&queues, "c"), c);
	op_finish(c, NULL);
	REQUIRE_STR(trace, "ra da rb db rc dc rd fd ");
}

/* The container ids of the log contexts that operations ran in. */
static char ids[64];

static enum op_outcome
context_run(struct op *op, struct error *err)
{
	const struct log_context *context = log_context_set(NULL);
	size_t n = strlen(ids);

	(void)log_context_set(context);
	(void)snprintf(ids + n, sizeof(ids) - n, "%s ", context ? context->container_id : "-");
	return step_run(op, err);
}

static const struct op_class context_class = {
	.name = "step with a context",
	.run = context_run,
	.abort = step_abort,
	.free = step_free,
};

/* A queued operation runs in the log context of its own call, not of the call whose end starts
 * it. */
Test(queue, each_runs_in_the_context_of_its_call)
{
	struct log_context c = { .container_id = "first" };
	struct op *a, *b;

	(void)log_context_set(&c);
	submit("c", "a", OP_PENDING, &context_class, &a);
	c.container_id = "second";
	submit("c", "b", OP_PENDING, &context_class, &b);
	c.container_id = "third";
	submit("c", "c", OP_DONE, &context_class, NULL);
	(void)log_context_set(NULL);
	op_finish(a, NULL);
	REQUIRE_STR(ids, "first second ");
	c.container_id = "other";
	(void)log_context_set(&c);
	op_finish(b, NULL);
	REQUIRE_STR(ids, "first second third ");
	REQUIRE_EQ(log_context_set(NULL), &c);
}

Test(queue, ids_are_independent)
{
	struct op *a, *b;

	submit("c1", "a", OP_PENDING, &step_class, &a);
	submit("c2", "b", OP_PENDING, &step_class, &b);
	REQUIRE_STR(trace, "ra rb ");
	op_finish(b, NULL);
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra rb db da ");
}

Test(queue, abort_waiting_spares_running_and_staying)
{
	struct op *a;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_ABORTED, "because");
	submit("c", "a", OP_PENDING, &step_class, &a);
	submit("c", "b", OP_DONE, &step_class, NULL);
	submit("c", "s", OP_DONE, &staying_class, NULL);
	submit("c", "e", OP_DONE, &step_class, NULL);
	op_queue_abort_waiting(&queues, "c", &why);
	REQUIRE_STR(trace, "ra fb fe ");
	op_abort(a, &why);
	REQUIRE_STR(trace, "ra fb fe aa fa rs ds ");
}

Test(queue, running_op_is_aborted_once)
{
	struct op *a;
	struct pending *p;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_ABORTED, "because");
	submit("c", "a", OP_PENDING, &step_class, &a);
	p = &a->pending;
	((struct step *)a)->finishes_when_aborted = false;
	op_abort(a, &why);
	op_abort(a, &why);
	pending_cancel(&p);
	REQUIRE_STR(trace, "ra aa ");
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra aa ");
}

Test(queue, cancelled_waiting_op_is_dropped_or_runs_silently)
{
	struct op *a, *b, *c;
	struct pending *p, *q;

	submit("c", "a", OP_PENDING, &step_class, &a);
	submit("c", "b", OP_DONE, &step_class, &b);
	submit("c", "c", OP_DONE, &lasting_class, &c);
	p = &b->pending;
	q = &c->pending;
	pending_cancel(&p);
	pending_cancel(&p);
	pending_cancel(&q);
	pending_cancel(&q);
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra da rc ");
}

Test(queue, cancelled_running_op_is_aborted_or_continues)
{
	struct op *a, *b;
	struct pending *p, *q;

	submit("c", "a", OP_PENDING, &step_class, &a);
	submit("d", "b", OP_PENDING, &lasting_class, &b);
	p = &a->pending;
	q = &b->pending;
	pending_cancel(&p);
	REQUIRE_EQ(op_queue_running(&queues, "c"), NULL);
	pending_cancel(&q);
	REQUIRE_EQ(op_queue_running(&queues, "d"), b);
	REQUIRE_STR(trace, "ra rb aa ");
	op_finish(b, NULL);
	REQUIRE_STR(trace, "ra rb aa ");
}

Test(queue, op_continues_after_an_early_answer)
{
	struct op *a;
	struct pending *p;
	struct error why = ERROR_INIT;

	error_set(&why, ERROR_DEADLINE_EXCEEDED, "late");
	submit("c", "a", OP_PENDING, &step_class, &a);
	op_answer(a, &why);
	op_answer(a, &why);
	/* The call was answered: nothing is left to cancel. */
	REQUIRE(!pending_is_wanted(&a->pending));
	p = &a->pending;
	pending_cancel(&p);
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra fa ");
}

/* A reply that cannot be sent ends its connection, and with it the connection's other calls. */
static struct pending *another;

static void
cancel_another(const struct error *err, void *data)
{
	(void)err;
	(void)data;
	pending_cancel(&another);
}

Test(queue, done_may_cancel_other_ops)
{
	struct op *a, *b;

	submit("c", "a", OP_PENDING, &step_class, &a);
	a->done = cancel_another;
	submit("c", "b", OP_DONE, &step_class, &b);
	another = &b->pending;
	op_finish(a, NULL);
	REQUIRE_STR(trace, "ra ");
}

Test(queue, release_calls_nothing)
{
	submit("c", "a", OP_PENDING, &step_class, NULL);
	submit("c", "b", OP_DONE, &step_class, NULL);
	submit("d", "c", OP_PENDING, &step_class, NULL);
	op_queues_release(&queues);
	REQUIRE_STR(trace, "ra rc ");
}
