/* SPDX-License-Identifier: Apache-2.0 */
/* Writing families of metrics. Only for the files agent/guest/metrics*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/guest/metrics.h"

/* The most text of one file of /proc, which may have a line for each of thousands of interfaces. */
#define METRICS_SOURCE_MAX (1u << 20)

struct metrics {
	const struct roots *roots;
	const struct metrics_agent *agent;
	/* text that the sink has not received yet */
	struct buf out;
	/* memory ran out, or the text is too long */
	bool failed;
	/* METRICS_SOURCE_MAX bytes */
	char *source;
	const char *family, *type, *help;
	/* of this family */
	bool has_samples;
};

struct metric_label {
	const char *name, *value;
};

/* Begins a family, which is written only if it gets a sample. type: "gauge" or "counter". The
 * strings are not copied. */
void metric_family(struct metrics *m, const char *name, const char *type, const char *help);

/* Writes one sample. Values of labels may hold any bytes. */
void metric_sample(struct metrics *m, uint64_t value, const struct metric_label *labels, size_t n);

/* Writes one sample with a decimal fraction as text, or nothing if it is not a number. */
void metric_decimal(struct metrics *m, const char *value, const struct metric_label *labels,
		    size_t n);

#define METRIC_LABELS(...)            \
	(const struct metric_label[]) \
	{                             \
		__VA_ARGS__           \
	}

/* Write one sample with the label `item`, and with one more label before it. */
void metric_item(struct metrics *m, const char *item, uint64_t value);
void metric_item2(struct metrics *m, const char *name, const char *value, const char *item,
		  uint64_t number);

/* Reads a file below dirfd into m->source, without a last line that was cut off. Returns NULL if it
 * cannot be read. */
char *metrics_read(struct metrics *m, int dirfd, const char *path);

/* Splits off the next "key value" line of a flat keyed file; other lines are skipped. Returns false
 * at the end. */
bool metrics_next_pair(char **rest, char **key, uint64_t *value);

/* Converts "MemAvailable" to "mem_available". A run of characters that are not letters or digits
 * becomes one "_". */
void metrics_snake(const char *key, char *out, size_t size);

/* Write the groups of families. */
void metrics_of_agent(struct metrics *m);
void metrics_of_guest(struct metrics *m);
void metrics_of_memory(struct metrics *m);
void metrics_of_devices(struct metrics *m);
void metrics_of_pressure(struct metrics *m);
void metrics_of_cgroups(struct metrics *m);
void metrics_of_filesystems(struct metrics *m);
