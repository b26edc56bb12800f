/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a build to its user: the step at work on a terminal, one line per step elsewhere,
 * and with --json one object at the end with every file that was made.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct report;

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
