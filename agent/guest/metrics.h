/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's metrics as Prometheus text (exposition format 0.0.4). If a source cannot be read, its
 * families are left out. Worker side: may block (the kernel adds up counters; a disk may not
 * answer).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/roots.h"
#include "lib/buf.h"
#include "lib/error.h"

struct memagent_counts;

/* Values that are not read from /proc. */
struct metrics_agent {
	pid_t pid;
	/* including this one */
	uint64_t scrapes;
	/* except this one */
	uint32_t workers;
	const char *version;
	/* counters of the memory agent, or NULL */
	const struct memagent_counts *memory;
};

/* Receives a piece of the text. Returns 0, or -1 and sets err to end the output. */
typedef int metrics_sink_fn(void *data, const void *text, size_t n, struct error *err);

/* Writes all families; sources that may hang come last. Returns 0, or -1 and sets err. */
int metrics_write(const struct roots *roots, const struct metrics_agent *agent,
		  metrics_sink_fn *sink, void *data, struct error *err);
