/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the metrics for any number of callers with one worker at a time. A call that arrives while
 * a worker reads waits for the next one, together with all other such calls, so no reply is older
 * than its call and the work does not grow with the number of callers. Each turn of the loop
 * answers one of them. Loop side: never blocks.
 */
#pragma once

#include <stdint.h>

#include "agent/guest/guest_state.h"
#include "agent/guest/memagent.h"
#include "agent/guest/metrics.h"
#include "lib/list.h"
#include "lib/pending.h"

/* The most text; must fit a frame. */
#define SCRAPE_MAX ((4u << 20) - 4096)

struct scrape;

/* A call's wait for the metrics, in memory of its owner, which sets the first group. */
struct scrape_waiter {
	/* Values that are not read from /proc; agent.memory is ignored. */
	struct metrics_agent agent;
	/* Counters of the memory agent, if has_memory. */
	struct memagent_counts memory;
	bool has_memory;
	/* The text is valid until the function returns. A partial text without an error is what
	 * could be read in time. */
	void (*done)(struct scrape_waiter *w, const char *text, const struct error *err);

	struct pending pending;
	struct list node;
	/* NULL: the wait has ended. */
	struct scrape *scrape;
	uint64_t since_ns;
};

/* Reads the metrics; w->done follows, never from inside. Returns the wait, or NULL and err. */
struct pending *scrape_metrics(struct guest *g, struct scrape_waiter *w, struct error *err);

/* Initialises the guest's part. */
void scrape_init(struct guest *g);

/* Frees what remains after jobs_free(). No callback is called. */
void scrape_release(struct guest *g);
