/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's operations together: their order, operations that hang, execs, signals, and
 * DestroySandbox. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/sandbox/bench.h"

/* ---- order ---- */

static int
body_order(int fd, void *data)
{
	struct bench b;
	struct result made, started, gone, again, late;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	/* All submitted together, as on one connection. */
	submit_create(&b, "c1", "quick", &made);
	submit_start(&b, "c1", &started);
	REQUIRE_EQ(made.outcome, OP_PENDING);
	REQUIRE_EQ(started.outcome, OP_PENDING);
	finish(&b, &started);
	REQUIRE(made.ended);
	REQUIRE_EQ(made.err.code, ERROR_OK);
	REQUIRE_EQ(started.err.code, ERROR_OK);
	REQUIRE_EQ(wait_for(&b, "c1", ""), 3);
	submit_remove(&b, "c1", 0, &gone);
	submit_create(&b, "c1", "quick", &again);
	submit_remove(&b, "c1", 0, &late);
	/* The second removal aborts the operations waiting before it, but not the first removal. */
	finish(&b, &late);
	REQUIRE(gone.ended);
	REQUIRE_EQ(gone.err.code, ERROR_OK);
	REQUIRE(again.ended);
	REQUIRE_EQ(again.err.code, ERROR_ABORTED);
	REQUIRE_EQ(late.err.code, ERROR_INVALID_ARGUMENT);
	/* A create queued after a removal. */
	REQUIRE_EQ(create(&b, "c1", "quick"), ERROR_OK);
	submit_remove(&b, "c1", 0, &gone);
	submit_create(&b, "c1", "quick", &again);
	finish(&b, &again);
	REQUIRE_EQ(gone.err.code, ERROR_OK);
	REQUIRE_EQ(again.err.code, ERROR_OK);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(order, one_container_in_order_of_arrival)
{
	in_agent(body_order);
}

static int
body_hang(int fd, void *data)
{
	struct bench b;
	struct result hung, waiting, gone, patient, other;
	uint64_t before = monotonic_ns();

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	submit_create(&b, "c1", "hang", &hung);
	submit_start(&b, "c1", &waiting);
	submit_remove(&b, "c1", 1, &gone);
	submit_remove(&b, "c1", 0, &patient);
	REQUIRE(waiting.ended);
	REQUIRE_EQ(waiting.err.code, ERROR_ABORTED);
	/* Another container is not affected. */
	REQUIRE_EQ(create(&b, "c2", "quick"), ERROR_OK);
	REQUIRE_EQ(removed(&b, "c2"), ERROR_OK);
	REQUIRE(!hung.ended);
	/* First the caller's time limit passes, then the grace period. */
	finish(&b, &gone);
	REQUIRE_EQ(gone.err.code, ERROR_DEADLINE_EXCEEDED);
	REQUIRE_HAS(gone.err.msg, TEXT_TIMER_EXPIRED);
	REQUIRE(!hung.ended);
	finish(&b, &hung);
	REQUIRE_EQ(hung.err.code, ERROR_ABORTED);
	REQUIRE_GE(monotonic_ns() - before, 5000000000ull);
	finish(&b, &patient);
	REQUIRE_EQ(patient.err.code, ERROR_OK);
	REQUIRE_EQ(sandbox_containers(b.s), 0);
	submit_start(&b, "c1", &other);
	finish(&b, &other);
	REQUIRE_EQ(other.err.code, ERROR_INVALID_ARGUMENT);
	bench_release(&b);
	return 0;
}

Test(order, remove_aborts_hanging_operation, .timeout = 60)
{
	in_agent(body_hang);
}

/* ---- exec ---- */

static int
body_exec(int fd, void *data)
{
	struct bench b;
	struct result r, same;
	struct error err = ERROR_INIT;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	submit_exec(&b, "c1", "e1", "", &r);
	REQUIRE_EQ(r.outcome, OP_FAILED);
	REQUIRE_EQ(r.err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	REQUIRE_EQ(start(&b, "c1"), ERROR_OK);
	submit_exec(&b, "c1", "e1", "", &r);
	submit_exec(&b, "c1", "e1", "", &same);
	finish(&b, &same);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(same.err.code, ERROR_ALREADY_EXISTS);
	REQUIRE_EQ(wait_for(&b, "c1", "e1"), 5);
	/* Its status was read, so the exec id is free again. */
	submit_exec(&b, "c1", "e1", "", &r);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(wait_for(&b, "c1", "e1"), 5);
	submit_exec(&b, "c1", "e2", "fail", &r);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(r.err.msg, "no such program");
	REQUIRE(!sandbox_process(b.s, "c1", "e2", CONTAINER_CALL_WAIT, &err));
	/* While an exec hangs, its id is taken, but not found. */
	submit_exec(&b, "c1", "e3", "hang", &r);
	REQUIRE(!sandbox_process(b.s, "c1", "e3", CONTAINER_CALL_WAIT, &err));
	pending_cancel(&r.pending);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(order, exec)
{
	in_agent(body_exec);
}

/* ---- signals ---- */

static int
body_signals(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	struct container *c;
	struct process *p;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_SIGNAL, &err);
	REQUIRE(p);
	REQUIRE_EQ(sandbox_signal(b.s, p, 65, &err), -1);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_OK(sandbox_signal(b.s, p, 0, &err), &err);
	/* The process is not process 1 of its pid namespace; test_signal.c covers those. */
	REQUIRE_OK(sandbox_signal(b.s, p, SIGTERM, &err), &err);
	REQUIRE_EQ(wait_for(&b, "c1", ""), 128 + SIGTERM);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(create(&b, "c2", ""), ERROR_OK);
	c = sandbox_container(b.s, "c2", CONTAINER_CALL_SIGNAL, &err);
	REQUIRE(c);
	REQUIRE_OK(sandbox_kill_all(b.s, c, &err), &err);
	REQUIRE_EQ(wait_for(&b, "c2", ""), 128 + SIGKILL);
	REQUIRE_EQ(removed(&b, "c2"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(order, signals)
{
	in_agent(body_signals);
}

/* ---- waiting for a CDI device ---- */

/* Submits the creation of a container with a device that does not exist. */
static void
submit_create_waiting(struct bench *b, const char *id, struct result *r)
{
	static char key[] = "cdi.k8s.io/x", value[] = "v/c=x", version[] = "";
	static Grpc__Spec__AnnotationsEntry annotation = GRPC__SPEC__ANNOTATIONS_ENTRY__INIT;
	static Grpc__Spec__AnnotationsEntry *list[] = { &annotation };
	struct sandbox_container_request request = { .id = id, .spec = &r->spec };

	annotation.key = key;
	annotation.value = value;
	*r = (struct result){ 0 };
	grpc__process__init(&r->process);
	grpc__spec__init(&r->spec);
	r->spec.process = &r->process;
	r->spec.version = version;
	r->spec.annotations = list;
	r->spec.n_annotations = 1;
	r->outcome = sandbox_create_container(b->s, &request, on_done, r, &r->pending, &r->err);
	REQUIRE_EQ(r->outcome, OP_PENDING, "%s", r->err.msg);
	UNTIL(b, jobs_running(b->jobs) == 0);
	REQUIRE_EQ(r->ended, 0);
}

static int
body_cdi(int fd, void *data)
{
	struct bench b;
	struct result waiting, r = { 0 };

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	submit_create_waiting(&b, "c1", &waiting);
	/* Others are not held up. */
	REQUIRE_EQ(create(&b, "c2", ""), ERROR_OK);
	REQUIRE_EQ(sandbox_containers(b.s), 2);
	pending_cancel(&waiting.pending);
	UNTIL(&b, sandbox_containers(b.s) == 1);
	REQUIRE_EQ(waiting.ended, 0);
	submit_create_waiting(&b, "c1", &waiting);
	r.outcome = sandbox_destroy(b.s, on_done, &r, &r.pending, &r.err);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(waiting.ended, 1);
	REQUIRE_EQ(waiting.err.code, ERROR_ABORTED);
	REQUIRE_EQ(sandbox_containers(b.s), 0);
	bench_release(&b);
	return 0;
}

Test(order, wait_for_a_cdi_device_is_aborted, .timeout = 60)
{
	in_agent(body_cdi);
}

/* ---- the end ---- */

static int
body_destroy(int fd, void *data)
{
	struct bench b;
	struct result hung, r, second;
	struct waiter w = { .waiter.done = waited };
	struct error err = ERROR_INIT;
	struct process *p;
	int status;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	REQUIRE_EQ(create(&b, "c2", "stubborn"), ERROR_OK);
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_WAIT, &err);
	REQUIRE(p);
	REQUIRE_EQ(process_wait(p, &w.waiter, &status), 1);
	submit_create(&b, "c3", "hang", &hung);
	r = (struct result){ 0 };
	r.outcome = sandbox_destroy(b.s, on_done, &r, &r.pending, &r.err);
	REQUIRE(!sandbox_is_created(b.s));
	second = (struct result){ 0 };
	second.outcome = sandbox_destroy(b.s, on_done, &second, &second.pending, &second.err);
	REQUIRE_EQ(second.outcome, OP_FAILED);
	REQUIRE_EQ(second.err.code, ERROR_FAILED_PRECONDITION);
	REQUIRE_EQ(create(&b, "c4", ""), ERROR_FAILED_PRECONDITION);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(w.ended, 1);
	REQUIRE_EQ(w.status, 137);
	REQUIRE_EQ(hung.ended, 1);
	REQUIRE_EQ(hung.err.code, ERROR_ABORTED);
	/* The stubborn container is left behind. */
	REQUIRE_EQ(sandbox_containers(b.s), 1);
	submit_sandbox(&b, "pod", &second);
	REQUIRE_EQ(second.err.code, ERROR_FAILED_PRECONDITION);
	bench_release(&b);
	return 0;
}

Test(order, destroy_ends_everything, .timeout = 60)
{
	in_agent(body_destroy);
}

static int
body_destroy_nothing(int fd, void *data)
{
	struct bench b;
	struct result r = { 0 };

	(void)data;
	bench_init(&b, fd);
	r.outcome = sandbox_destroy(b.s, on_done, &r, &r.pending, &r.err);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(order, destroy_without_a_sandbox)
{
	in_agent(body_destroy_nothing);
}
