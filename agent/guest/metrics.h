/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's figures as Prometheus text (exposition format 0.0.4). A source that cannot be read leaves its families out.
 * Worker only: may block (the kernel adds up counters; a disk may not answer).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/roots.h"
#include "lib/buf.h"
#include "lib/error.h"

struct memagent_counts;

/* What is not read from /proc. */
struct metrics_agent {
	pid_t pid;
	uint64_t scrapes; /* this one included */
	uint32_t workers; /* this one not */
	const char *version;
	const struct memagent_counts *memory; /* of the memory agent; NULL: there is none */
};

/* Hands a piece of the text on; -1 ends it all. */
typedef int metrics_sink_fn(void *data, const void *text, size_t n, struct error *err);

/* Families one after the other; what may hang comes last. */
int metrics_write(const struct roots *roots, const struct metrics_agent *agent,
		  metrics_sink_fn *sink, void *data, struct error *err);
