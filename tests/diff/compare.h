/* SPDX-License-Identifier: Apache-2.0 */
/* Two outputs of the probe beside each other, and the table of the differences that are meant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct table;

/* tests/diff/explained.txt; its head says how it is written. NULL and a message on stderr if it cannot be used. */
struct table *table_read(const char *path);
void table_free(struct table *t);
/* Prints the rows that explained nothing: how many. */
unsigned int table_print_unused(const struct table *t);
unsigned int table_n_used(const struct table *t);

struct difference {
	const char *key, *agent, *crun; /* "-": not there */
};

typedef void difference_fn(void *data, const struct difference *d);

/* Calls fn for each difference between two outputs (both are taken apart) that the table does not explain. How many it
 * did explain. */
unsigned int compare(struct table *t, char *agent, char *crun, difference_fn *fn, void *data);

/* What holds for the spec that is compared now: " word word ", for rows that begin with if=word. */
void table_set_conditions(struct table *t, const char *words);

/* One difference of the caller's own: true if it is explained. */
bool table_explains(struct table *t, const struct difference *d);
