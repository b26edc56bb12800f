/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of out/bench.tsv. A row is measured in rounds: some samples of ours, then some of its floor,
 * then ours again. Each round has a median per side; their minimum and maximum are the row's noise.
 * tests/bench/columns.awk names the columns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum side {
	OURS,
	FLOOR,
	SIDES,
};

enum good {
	LOW_IS_GOOD,
	HIGH_IS_GOOD,
};

#define ROUNDS_MAX 99

/* The samples of one side. */
struct samples {
	double *values;
	size_t n, room;
	/* index of the first sample of the current round */
	size_t round_start;
	double medians[ROUNDS_MAX];
};

struct row {
	const char *name, *unit;
	enum good good;
	/* the name of the floor */
	const char *floor;
	/* iterations of each side before the first round, which are not counted */
	unsigned int warm_up;
	struct samples sides[SIDES];
	unsigned int rounds;
};

/* Returns the number of rounds: $ROUNDS, or 5. */
unsigned int rows_rounds(void);

/* Reports whether $ONLY, an extended regular expression, is unset or matches the name. */
bool row_is_wanted(const char *name);

/* Adds a sample. Anything but a positive number ends the program. */
void row_sample(struct row *row, enum side side, double value);

/* Ends a round of both sides. */
void row_round(struct row *row);

/* Prints the row, unless it is not wanted, and releases its samples. A row without samples ends the
 * program. */
void row_print(struct row *row);

/* Prints a row that is one figure without rounds, less of which is better: a count, a size, or what
 * takes too long to repeat. */
void row_print_once(const char *name, const char *unit, double value, const char *floor,
		    double floor_value);

/* Ends the program: an error of a call. */
struct error;
_Noreturn void bench_die(const char *what, const struct error *err);
