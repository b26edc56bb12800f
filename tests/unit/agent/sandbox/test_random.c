/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of calls on a few containers, some of which are broken, with callers that cancel
 * at random moments. Every operation ends once, and at the end nothing is left. A failed test
 * prints its seed.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/soak.h"
#include "tests/unit/agent/sandbox/bench.h"

#define STEPS      400
#define CONTAINERS 3
#define PARKED     64

struct waiting {
	struct waiter w;
	bool used;
};

struct reading {
	/* Must be first. */
	struct stdio_read read;
	uint8_t memory[64];
	bool used;
};

struct play {
	struct bench b;
	/* The state of the random number generator. */
	unsigned int state;
	struct result results[STEPS];
	/* The operation hangs until its caller cancels it. */
	bool hangs[STEPS];
	struct waiting waiting[PARKED];
	struct reading reading[PARKED];
	/* Failures by code, to detect a run that does nothing. */
	int refused[32];
	int succeeded;
};

static const char *const ids[CONTAINERS] = { "c1", "c2", "c3" };

/* xorshift32, so that a seed gives the same sequence everywhere. */
static unsigned int
roll(struct play *p, unsigned int n)
{
	p->state ^= p->state << 13;
	p->state ^= p->state >> 17;
	p->state ^= p->state << 5;
	return p->state % n;
}

static void
forget_waiter(struct process_waiter *w, int status, const struct error *err)
{
	(void)status;
	(void)err;
	((struct waiting *)w)->used = false;
}

static uint8_t *
memory_of(struct stdio_read *r, size_t n)
{
	return n <= sizeof(((struct reading *)r)->memory) ? ((struct reading *)r)->memory : NULL;
}

static void
forget_reader(struct stdio_read *r, const struct error *err)
{
	(void)err;
	((struct reading *)r)->used = false;
}

static void
wait_somewhere(struct play *p, struct process *process)
{
	struct waiting *w = &p->waiting[roll(p, PARKED)];
	int status;

	if (w->used) {
		pending_cancel(&(struct pending *){ &w->w.waiter.pending });
		w->used = false;
		return;
	}
	w->w.waiter.done = forget_waiter;
	w->used = process_wait(process, &w->w.waiter, &status) == 1;
}

static void
read_somewhere(struct play *p, struct process *process)
{
	struct reading *r = &p->reading[roll(p, PARKED)];
	struct error err = ERROR_INIT;

	if (r->used) {
		pending_cancel(&(struct pending *){ &r->read.pending });
		r->used = false;
		return;
	}
	r->read = (struct stdio_read){ .max = 1 + roll(p, 64),
				       .buffer = memory_of,
				       .done = forget_reader };
	r->used = output_read(
			  stdio_output(&process->stdio, roll(p, 2) ? STDERR_FILENO : STDOUT_FILENO),
			  &r->read, &err) == STDIO_WAITS;
}

/* Makes a call on a process, if one of that name exists. */
static void
touch_process(struct play *p, const char *id, unsigned int what)
{
	static const char *const exec_ids[] = { "", "e1", "e2" };
	static const uint32_t signals[] = { 0, SIGTERM, SIGKILL, SIGSTOP, SIGCONT, 65 };
	struct error err = ERROR_INIT;
	struct process *process = sandbox_process(p->b.s, id, exec_ids[roll(p, 3)],
						  what == 0   ? CONTAINER_CALL_SIGNAL
						  : what == 1 ? CONTAINER_CALL_WAIT
							      : CONTAINER_CALL_STREAM,
						  &err);

	if (!process) {
		p->refused[err.code]++;
		return;
	}
	if (what == 0)
		(void)sandbox_signal(p->b.s, process, signals[roll(p, 6)], &err);
	else if (what == 1)
		wait_somewhere(p, process);
	else if (what == 2)
		read_somewhere(p, process);
	else
		input_close(&process->stdio.in);
}

static void
step(struct play *p, struct result *r, bool *hangs)
{
	static const char *const hows[] = { "", "", "quick", "quick", "fail", "dead", "hang" };
	static const char *const execs[] = { "", "", "fail", "hang" };
	const char *id = ids[roll(p, CONTAINERS)];
	unsigned int what = roll(p, 12);
	const char *how;

	*r = (struct result){ .outcome = OP_DONE };
	switch (what) {
	case 0:
	case 1:
	case 2:
		how = hows[roll(p, 7)];
		submit_create(&p->b, id, how, r);
		*hangs = strcmp(how, "hang") == 0;
		break;
	case 3:
	case 4:
		submit_start(&p->b, id, r);
		break;
	case 5:
	case 6:
		how = execs[roll(p, 4)];
		submit_exec(&p->b, id, roll(p, 2) ? "e1" : "e2", how, r);
		*hangs = strcmp(how, "hang") == 0;
		break;
	case 7:
		submit_remove(&p->b, id, 0, r);
		break;
	default:
		touch_process(p, id, what - 8);
		break;
	}
}

/* Cancels the wait for a pending operation. */
static void
lose_caller(struct result *r)
{
	if (r->outcome != OP_PENDING || r->ended)
		return;
	pending_cancel(&r->pending);
	r->outcome = OP_DONE;
}

static void
count(struct play *p, const struct result *r)
{
	REQUIRE_EQ(r->ended, r->outcome == OP_PENDING ? 1 : 0);
	if (r->err.code != ERROR_OK)
		p->refused[r->err.code]++;
	else
		p->succeeded++;
}

static int
body_random(int fd, void *data)
{
	struct play *p = calloc(1, sizeof(*p));
	struct error err = ERROR_INIT;

	REQUIRE(p);
	p->state = *(const unsigned int *)data;
	bench_init(&p->b, fd);
	make_sandbox(&p->b);
	for (size_t i = 0; i < STEPS; i++) {
		step(p, &p->results[i], &p->hangs[i]);
		if (roll(p, 3) == 0)
			REQUIRE_OK(loop_run_once(p->b.loop, (int)roll(p, 4), &err), &err);
		for (size_t k = 0; i % 8 == 0 && k <= i; k++)
			if (roll(p, p->hangs[k] ? 3 : 20) == 0)
				lose_caller(&p->results[k]);
	}
	for (size_t i = 0; i < STEPS; i++)
		if (p->hangs[i])
			lose_caller(&p->results[i]);
	for (size_t i = 0; i < STEPS; i++) {
		finish(&p->b, &p->results[i]);
		count(p, &p->results[i]);
	}
	for (size_t i = 0; i < CONTAINERS; i++)
		(void)removed(&p->b, ids[i]);
	REQUIRE_EQ(sandbox_containers(p->b.s), 0);
	UNTIL(&p->b, jobs_running(p->b.jobs) == 0);
	for (size_t i = 0; i < PARKED; i++)
		REQUIRE(!p->waiting[i].used && !p->reading[i].used);
	/* The sequence exercised successes as well as failures. */
	REQUIRE_GT(p->succeeded, STEPS / 20);
	REQUIRE_GT(p->refused[ERROR_INVALID_ARGUMENT], 0);
	REQUIRE_GT(p->refused[ERROR_ALREADY_EXISTS], 0);
	REQUIRE_GT(p->refused[ERROR_FAILED_PRECONDITION], 0);
	REQUIRE_GT(p->refused[ERROR_ABORTED], 0);
	bench_release(&p->b);
	free(p);
	return 0;
}

Test(sandbox_random, sequences, .timeout = 600)
{
	unsigned int seeds = is_soak() ? (unsigned int)soak_count(100) : 4;

	for (unsigned int seed = 1; seed <= seeds; seed++) {
		int leaked = -1;
		unsigned int state = seed * 2654435761u;

		REQUIRE_EQ(fakeinit_run(body_random, &state, &leaked), 0, "seed %u", seed);
		REQUIRE_EQ(leaked, 0, "seed %u: %d processes left behind", seed, leaked);
	}
}
