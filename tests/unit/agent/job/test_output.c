/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that answer a question: their output, the ownership of the argument, and waits that are
 * cancelled. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/agent/job/bench.h"

#define OUTPUT_MAX 100000

struct question {
	size_t size;
	/* Written to when the work begins, then read from. */
	int begun[2], go[2];
	int *n_freed;
};

/* The output of the last job. */
static size_t output_size;
static char output_first, output_end;

static void
on_output(struct job *job, const struct error *err, void *data)
{
	const char *output = job_output(job, &output_size);

	output_first = output[0];
	output_end = output[output_size];
	on_done(job, err, data);
}

static int
work_output(struct worker *w, void *arg, struct error *err)
{
	const struct question *q = arg;
	auto_free char *text = malloc(q->size + 1);

	REQUIRE(text);
	memset(text, 'x', q->size);
	return worker_output(w, text, q->size, err);
}

static int
work_wait(struct worker *w, void *arg, struct error *err)
{
	const struct question *q = arg;
	char byte;

	(void)w;
	(void)err;
	return write(q->begun[1], "b", 1) == 1 && read(q->go[0], &byte, 1) == 1 &&
			       write(q->begun[1], "e", 1) == 1
		       ? 0
		       : -1;
}

static const struct job_ops output_job = {
	.name = "output",
	.work = work_output,
	.output_min = 1,
	.output_max = OUTPUT_MAX,
	.done = on_output,
};

static const struct job_ops wait_job = { .name = "wait", .work = work_wait, .done = on_done };

static void
question_free(void *arg)
{
	struct question *q = arg;

	(*q->n_freed)++;
	free(q);
}

/* Starts a job that owns its argument. */
static struct job *
ask(struct bench *b, const struct job_ops *ops, const struct question *question, unsigned int flags,
    struct error *err)
{
	struct question *q = malloc(sizeof(*q));
	const int keep[] = { question->begun[1], question->go[0] };
	const struct job_spec spec = { .ops = ops,
				       .arg = q,
				       .free_arg = question_free,
				       .data = b,
				       .keep_fds = keep,
				       .n_keep_fds = ARRAY_LEN(keep),
				       .flags = flags };

	REQUIRE(q);
	*q = *question;
	return job_start(b->jobs, &spec, err);
}

static int
body_output(int fd, void *data)
{
	static const size_t sizes[] = { 1, 5, OUTPUT_MAX };
	struct error err = ERROR_INIT;
	struct question q = { .begun = { -1, -1 }, .go = { -1, -1 } };
	struct bench b;
	int n_freed = 0;

	(void)data;
	bench_init(&b, fd);
	q.n_freed = &n_freed;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		q.size = sizes[i];
		REQUIRE(ask(&b, &output_job, &q, 0, &err));
		run_until(&b, (int)i + 1);
		REQUIRE(b.last.code == ERROR_OK && n_freed == (int)i + 1);
		REQUIRE(output_size == sizes[i] && output_first == 'x' && output_end == '\0');
	}
	bench_release(&b);
	return 0;
}

Test(job_output, arrives_whole_and_ends_in_nul)
{
	in_agent(body_output);
}

static int
body_limits(int fd, void *data)
{
	struct error err = ERROR_INIT;
	struct question q = { .size = OUTPUT_MAX + 1, .begun = { -1, -1 }, .go = { -1, -1 } };
	struct bench b;
	int n_freed = 0;

	(void)data;
	bench_init(&b, fd);
	q.n_freed = &n_freed;
	REQUIRE(ask(&b, &output_job, &q, 0, &err));
	run_until(&b, 1);
	REQUIRE(b.last.code == ERROR_RESOURCE_EXHAUSTED);
	q.size = 0;
	REQUIRE(ask(&b, &output_job, &q, 0, &err));
	run_until(&b, 2);
	REQUIRE(b.last.code == ERROR_INTERNAL && output_size == 0 && output_end == '\0');
	REQUIRE(n_freed == 2);
	bench_release(&b);
	return 0;
}

Test(job_output, too_much_and_too_little_fail_the_job)
{
	in_agent(body_limits);
}

static void
run_while_worker(struct bench *b)
{
	struct error err = ERROR_INIT;

	while (jobs_running(b->jobs) > 0)
		REQUIRE(loop_run_once(b->loop, 5000, &err) == 0);
}

/* Returns what the worker wrote, 0 if it ended first. */
static char
question_byte(const struct question *q)
{
	char byte = 0;

	return read(q->begun[0], &byte, 1) == 1 ? byte : 0;
}

static int
body_unwanted(int fd, void *data)
{
	struct error err = ERROR_INIT;
	struct question q = { 0 };
	struct pending *p;
	struct bench b;
	int n_freed = 0;

	(void)data;
	bench_init(&b, fd);
	q.n_freed = &n_freed;
	REQUIRE(pipe2(q.begun, O_CLOEXEC) == 0 && pipe2(q.go, O_CLOEXEC) == 0);
	p = job_pending(ask(&b, &wait_job, &q, JOB_GOES_ON, &err));
	REQUIRE(p && question_byte(&q) == 'b');
	pending_cancel(&p);
	REQUIRE(!p && write(q.go[1], "g", 1) == 1 && question_byte(&q) == 'e');
	run_while_worker(&b);
	REQUIRE(b.ended == 0 && n_freed == 1);

	p = job_pending(ask(&b, &wait_job, &q, 0, &err));
	REQUIRE(p && question_byte(&q) == 'b');
	pending_cancel(&p);
	run_while_worker(&b);
	close_fd(&q.begun[1]);
	REQUIRE(question_byte(&q) == 0 && b.ended == 0 && n_freed == 2);
	REQUIRE(job_pending(NULL) == NULL);
	bench_release(&b);
	return 0;
}

Test(job_output, unwanted_work_goes_on_or_is_killed)
{
	in_agent(body_unwanted);
}

static int
body_queued(int fd, void *data)
{
	struct error err = ERROR_INIT;
	struct question q = { 0 };
	struct pending *p;
	struct bench b;
	int n_freed = 0;

	(void)data;
	bench_init(&b, fd);
	q.n_freed = &n_freed;
	REQUIRE(pipe2(q.begun, O_CLOEXEC) == 0 && pipe2(q.go, O_CLOEXEC) == 0);
	for (int i = 0; i < 62; i++)
		REQUIRE(ask(&b, &wait_job, &q, 0, &err));
	/* Work that was not begun is dropped. */
	p = job_pending(ask(&b, &wait_job, &q, JOB_GOES_ON, &err));
	pending_cancel(&p);
	REQUIRE(loop_run_once(b.loop, 5000, &err) == 0);
	while (n_freed == 0)
		REQUIRE(loop_run_once(b.loop, 5000, &err) == 0);
	REQUIRE(n_freed == 1 && b.ended == 0 && jobs_running(b.jobs) == 62);
	bench_release(&b);
	REQUIRE(n_freed == 63);
	return 0;
}

Test(job_output, queued_work_is_dropped)
{
	in_agent(body_queued);
}
