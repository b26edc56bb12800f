/* SPDX-License-Identifier: Apache-2.0 */
/* How a family of metrics is written. Only for the files agent/guest/metrics*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest/metrics.h"

/* Most text of one file of /proc: a line for each of thousands of interfaces. */
#define METRICS_SOURCE_MAX (1u << 20)

struct metrics {
	const struct roots *roots;
	const struct metrics_agent *agent;
	struct buf out; /* of the families since the last piece was handed on */
	bool failed;    /* memory is out, or the text too long */
	char *source;   /* METRICS_SOURCE_MAX bytes */
	const char *family, *type, *help;
	bool has_samples; /* of this family */
};

struct metric_label {
	const char *name, *value;
};

/* Begins a family. Without a sample nothing is written. type: "gauge" or "counter". */
void metric_family(struct metrics *m, const char *name, const char *type, const char *help);

/* One sample. Values of labels may hold anything. */
void metric_sample(struct metrics *m, uint64_t value, const struct metric_label *labels, size_t n);
/* The same with a decimal fraction as text: one that is no number is left out. */
void metric_decimal(struct metrics *m, const char *value, const struct metric_label *labels,
		    size_t n);

#define METRIC_LABELS(...)            \
	(const struct metric_label[]) \
	{                             \
		__VA_ARGS__           \
	}

/* Samples with one label `item`, and with one more before it. */
void metric_item(struct metrics *m, const char *item, uint64_t value);
void metric_item2(struct metrics *m, const char *name, const char *value, const char *item,
		  uint64_t number);

/* A file below dirfd in m->source, without a line that was cut off; NULL if it cannot be read. */
char *metrics_read(struct metrics *m, int dirfd, const char *path);

/* The next "key value" line of a flat keyed file; false at the end. Lines of another kind are passed over. */
bool metrics_next_pair(char **rest, char **key, uint64_t *value);

/* "MemAvailable" -> "mem_available"; what is neither letter nor digit becomes one "_". */
void metrics_snake(const char *key, char *out, size_t size);

/* The groups of families, in the files of their names. */
void metrics_of_agent(struct metrics *m);
void metrics_of_guest(struct metrics *m);
void metrics_of_memory(struct metrics *m);
void metrics_of_devices(struct metrics *m);
void metrics_of_pressure(struct metrics *m);
void metrics_of_cgroups(struct metrics *m);
void metrics_of_filesystems(struct metrics *m);
