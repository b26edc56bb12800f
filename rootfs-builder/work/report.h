/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a build to its user: the step at work on a terminal, one line per step elsewhere,
 * and with --json one object at the end with every file that was made. Standard output has the
 * result only; all else goes to standard error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct report;

enum report_mode {
	/* Steps and a summary. */
	REPORT_TEXT,
	/* Warnings and errors. */
	REPORT_QUIET,
	/* One JSON object on standard output. */
	REPORT_JSON,
};

/* `program` begins each message. Returns NULL if memory is exhausted. */
struct report *report_new(enum report_mode mode, const char *program);

/* Begins a step, and ends the one before. `format` is a phrase such as "making an ext4 file
 * system". */
void report_step(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Tells how far the step is; `total` 0 if it is not known. Cheap: prints ten times a second at
 * most. */
void report_progress(struct report *report, uint64_t done, uint64_t total);

/* Prints a warning, which --json also lists. */
void report_warn(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds a property of the result to what is printed at the end: a key such as "root_hash" and its
 * value. Both are copied. */
void report_fact(struct report *report, const char *key, const char *value);

/* Adds a file or directory that was made, with its size, to what is printed at the end. */
void report_file(struct report *report, const char *path, uint64_t size);

/* Prints the result: that of a failed build if err is not NULL. Returns 0, or -1 if standard output
 * cannot be written. */
int report_finish(struct report *report, const struct error *err);

/* NULL is allowed. */
void report_free(struct report *report);
