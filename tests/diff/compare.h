/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of two outputs of the probe, and the table of intended differences. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct table;

/* Reads tests/diff/explained.txt; its head describes the format. Returns NULL, with a message on
 * stderr, if the file is invalid. */
struct table *table_read(const char *path);
void table_free(struct table *t);
/* Prints the rows that explained no difference. Returns their number. */
unsigned int table_print_unused(const struct table *t);
unsigned int table_n_used(const struct table *t);

struct difference {
	/* "-": absent */
	const char *key, *agent, *crun;
};

typedef void difference_fn(void *data, const struct difference *d);

/* Calls fn for each difference between two outputs that the table does not explain. Modifies both
 * texts. Returns the number of explained differences. */
unsigned int compare(struct table *t, char *agent, char *crun, difference_fn *fn, void *data);

/* Sets the conditions that hold for the current spec, " word word ", for rows that begin with
 * if=word. */
void table_set_conditions(struct table *t, const char *words);

/* Returns whether the table explains a difference found by the caller. */
bool table_explains(struct table *t, const struct difference *d);
