/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See scrape.h. Called by agent/rpc. The states of a scrape:
 *
 *   guest->scrape_next   calls join it; its worker has not started
 *   guest->scrape        its worker reads
 *   scrape_answers       the text is complete, and some of its calls are not answered yet
 */
#include "agent/guest/scrape.h"

#include <stdlib.h>

#include "agent/job/job.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"

/* From the call. A disk that does not respond delays only the metrics of file systems, which come
 * last. */
#define SCRAPE_MS 10000
/* The least time of a worker, for calls that have waited for another. */
#define SCRAPE_LEAST_MS 1000

struct scrape {
	/* In guest->scrape_answers. */
	struct list node;
	struct guest *guest;
	/* NULL: its worker has not started, or has ended. */
	struct job *job;
	struct list waiters;
	/* Those of the last call. */
	struct metrics_agent agent;
	struct memagent_counts memory;
	struct buf text;
	struct error err;
};

static struct scrape *scrape_new(struct guest *g);
static void scrape_begin(struct guest *g);
static void scrape_unwanted(struct pending *p);
static int scrape_work(struct worker *w, void *arg, struct error *err);
static void scrape_done(struct job *job, const struct error *err, void *data);
static void scrape_end(struct scrape *s);
static void scrape_answer(void *data);

static struct scrape_waiter *
scrape_waiter_of(struct list *node)
{
	return list_entry(node, struct scrape_waiter, node);
}

static void
scrape_free(struct scrape *s)
{
	while (s && !list_is_empty(&s->waiters)) {
		struct scrape_waiter *w = scrape_waiter_of(s->waiters.next);

		list_remove(&w->node);
		w->scrape = NULL;
	}
	if (!s)
		return;
	list_remove(&s->node);
	buf_release(&s->text);
	free(s);
}

struct pending *
scrape_metrics(struct guest *g, struct scrape_waiter *w, struct error *err)
{
	struct scrape *s = g->scrape_next;

	if (!s)
		s = g->scrape_next = scrape_new(g);
	if (!s) {
		error_nomem(err, "reading the metrics");
		return NULL;
	}
	s->agent = w->agent;
	s->agent.memory = w->has_memory ? &s->memory : NULL;
	s->memory = w->memory;
	w->since_ns = monotonic_ns();
	w->scrape = s;
	w->pending.cancel = scrape_unwanted;
	list_append(&s->waiters, &w->node);
	if (!g->scrape)
		scrape_begin(g);
	return &w->pending;
}

static struct scrape *
scrape_new(struct guest *g)
{
	struct scrape *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	list_init(&s->waiters);
	buf_init(&s->text, 0);
	s->guest = g;
	return s;
}

static const struct job_ops scrape_job = {
	.name = "read the metrics",
	.work = scrape_work,
	.output_max = SCRAPE_MAX,
	.done = scrape_done,
};

/* Starts the worker for the calls that wait for one. */
static void
scrape_begin(struct guest *g)
{
	struct scrape *s = steal_ptr(&g->scrape_next);
	const struct roots *roots = g->parts.roots;
	const int fds[] = { roots->proc, roots->cgroup, roots->root };
	struct job_spec job = {
		.ops = &scrape_job,
		.arg = s,
		.data = s,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = SCRAPE_MS,
	};
	uint64_t waited_ms =
		(monotonic_ns() - scrape_waiter_of(s->waiters.next)->since_ns) / NS_PER_MS;

	job.deadline_ms -=
		waited_ms < SCRAPE_MS - SCRAPE_LEAST_MS ? waited_ms : SCRAPE_MS - SCRAPE_LEAST_MS;
	s->job = job_start(g->parts.jobs, &job, &s->err);
	if (s->job)
		g->scrape = s;
	else
		scrape_end(s);
}

static void
scrape_unwanted(struct pending *p)
{
	struct scrape_waiter *w = pending_entry(p, struct scrape_waiter, pending);
	struct scrape *s = w->scrape;

	list_remove(&w->node);
	w->scrape = NULL;
	if (!s || !list_is_empty(&s->waiters))
		return;
	if (s->job)
		job_cancel(s->job, ERROR_CANCELLED, "the call has ended");
	else if (s == s->guest->scrape_next)
		scrape_free(steal_ptr(&s->guest->scrape_next));
}

static int
scrape_write(void *data, const void *text, size_t n, struct error *err)
{
	return worker_output(data, text, n, err);
}

static int
scrape_work(struct worker *w, void *arg, struct error *err)
{
	const struct scrape *s = arg;

	return metrics_write(s->guest->parts.roots, &s->agent, scrape_write, w, err);
}

static void
scrape_done(struct job *job, const struct error *err, void *data)
{
	struct scrape *s = data;
	struct guest *g = s->guest;

	s->err = *err;
	s->job = NULL;
	job_take_output(job, &s->text);
	if (err->code == ERROR_DEADLINE_EXCEEDED && buf_len(&s->text) > 0) {
		log_warn("agent", "read the metrics: %s; replying with the partial result",
			 err->msg);
		s->err = ERROR_INIT;
	}
	g->scrape = NULL;
	scrape_end(s);
	if (g->scrape_next)
		scrape_begin(g);
}

/* Has the calls answered, one in each turn of the loop: encoding a reply takes time. */
static void
scrape_end(struct scrape *s)
{
	list_append(&s->guest->scrape_answers, &s->node);
	loop_post(s->guest->parts.loop, &s->guest->scrape_post);
}

static void
scrape_answer(void *data)
{
	struct guest *g = data;
	struct scrape *s;

	if (list_is_empty(&g->scrape_answers))
		return;
	s = list_entry(g->scrape_answers.next, struct scrape, node);
	if (!list_is_empty(&s->waiters)) {
		struct scrape_waiter *w = scrape_waiter_of(s->waiters.next);

		list_remove(&w->node);
		w->scrape = NULL;
		(void)pending_end(&w->pending);
		/* job_output() ends with a NUL. */
		w->done(w, buf_len(&s->text) > 0 ? (const char *)buf_head(&s->text) : "", &s->err);
	}
	if (list_is_empty(&s->waiters))
		scrape_free(s);
	if (!list_is_empty(&g->scrape_answers))
		loop_post(g->parts.loop, &g->scrape_post);
}

void
scrape_init(struct guest *g)
{
	list_init(&g->scrape_answers);
	post_init(&g->scrape_post, scrape_answer, g);
}

void
scrape_release(struct guest *g)
{
	post_cancel(&g->scrape_post);
	scrape_free(g->scrape);
	scrape_free(g->scrape_next);
	while (!list_is_empty(&g->scrape_answers))
		scrape_free(list_entry(g->scrape_answers.next, struct scrape, node));
}
