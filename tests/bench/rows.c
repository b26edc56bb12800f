/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the result; see rows.h. */
#include "tests/bench/rows.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/parse.h"

#define ROUNDS_DEFAULT 5

unsigned int
rows_rounds(void)
{
	const char *text = getenv("ROUNDS");
	uint32_t n = ROUNDS_DEFAULT;

	if (text && *text && (!parse_u32(text, &n) || !n || n > ROUNDS_MAX)) {
		(void)fprintf(stderr, "bench: ROUNDS=%s: not a number from 1 to %d\n", text,
			      ROUNDS_MAX);
		exit(2);
	}
	return n;
}

bool
row_is_wanted(const char *name)
{
	const char *only = getenv("ONLY");
	regex_t regex;
	bool found;

	if (!only || !*only)
		return true;
	if (regcomp(&regex, only, REG_EXTENDED | REG_NOSUB) != 0) {
		(void)fprintf(stderr, "bench: ONLY=%s: invalid regular expression\n", only);
		exit(2);
	}
	found = regexec(&regex, name, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

void
row_sample(struct row *row, enum side side, double value)
{
	struct samples *s = &row->sides[side];

	if (!isfinite(value) || value <= 0) {
		(void)fprintf(stderr, "bench: %s: %s gave no value\n", row->name,
			      side == OURS ? "the agent" : row->floor);
		exit(1);
	}
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		s->values = realloc(s->values, s->room * sizeof(*s->values));
		if (!s->values)
			abort();
	}
	s->values[s->n++] = value;
}

static int
rows_by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Returns the value that `percent` of the n sorted samples are not worse than. */
static double
rows_percentile(const double *sorted, size_t n, unsigned int percent, enum good good)
{
	size_t i = (n - 1) * percent / 100;

	return sorted[good == LOW_IS_GOOD ? i : n - 1 - i];
}

void
row_round(struct row *row)
{
	for (int side = 0; side < SIDES; side++) {
		struct samples *s = &row->sides[side];
		size_t n = s->n - s->round_start;

		if (!n || row->rounds == ROUNDS_MAX) {
			(void)fprintf(stderr, "bench: %s: a round without samples\n", row->name);
			exit(1);
		}
		qsort(s->values + s->round_start, n, sizeof(*s->values), rows_by_size);
		s->medians[row->rounds] =
			rows_percentile(s->values + s->round_start, n, 50, row->good);
		s->round_start = s->n;
	}
	row->rounds++;
}

static void
rows_noise(const double *values, size_t n, double *min, double *max)
{
	*min = *max = values[0];
	for (size_t i = 1; i < n; i++) {
		*min = fmin(*min, values[i]);
		*max = fmax(*max, values[i]);
	}
}

/* Prints p50, p99, min, max of a side. */
static void
rows_print_side(const struct row *row, enum side side)
{
	const struct samples *s = &row->sides[side];
	double min, max;

	qsort(s->values, s->n, sizeof(*s->values), rows_by_size);
	rows_noise(s->medians, row->rounds, &min, &max);
	printf("\t%.10g\t%.10g\t%.10g\t%.10g", rows_percentile(s->values, s->n, 50, row->good),
	       rows_percentile(s->values, s->n, 99, row->good), min, max);
}

void
row_print(struct row *row)
{
	double ratios[ROUNDS_MAX] = { 0 };

	if (!row->rounds) {
		(void)fprintf(stderr, "bench: %s: no rounds\n", row->name);
		exit(1);
	}
	if (row_is_wanted(row->name)) {
		printf("%s\t%s\t%s", row->name, row->unit,
		       row->good == LOW_IS_GOOD ? "low" : "high");
		rows_print_side(row, OURS);
		printf("\t%s", row->floor);
		rows_print_side(row, FLOOR);
		for (unsigned int i = 0; i < row->rounds; i++)
			ratios[i] = row->sides[OURS].medians[i] / row->sides[FLOOR].medians[i];
		qsort(ratios, row->rounds, sizeof(ratios[0]), rows_by_size);
		printf("\t%.4g\t%.4g\t%.4g\t%u\t%u\t%zu\n", ratios[(row->rounds - 1) / 2],
		       ratios[0], ratios[row->rounds - 1], row->warm_up, row->rounds,
		       row->sides[OURS].n);
		(void)fflush(stdout);
	}
	for (int side = 0; side < SIDES; side++) {
		free(row->sides[side].values);
		row->sides[side] = (struct samples){ 0 };
	}
	row->rounds = 0;
}

void
row_print_once(const char *name, const char *unit, double value, const char *floor,
	       double floor_value)
{
	double ratio = floor_value > 0 ? value / floor_value : 0;

	if (!row_is_wanted(name))
		return;
	printf("%s\t%s\tlow", name, unit);
	for (int i = 0; i < 4; i++)
		printf("\t%.10g", value);
	printf("\t%s", floor);
	for (int i = 0; i < 4; i++)
		printf("\t%.10g", floor_value);
	printf("\t%.4g\t%.4g\t%.4g\t0\t1\t1\n", ratio, ratio, ratio);
	(void)fflush(stdout);
}

void
bench_die(const char *what, const struct error *err)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, err->msg);
	exit(1);
}
