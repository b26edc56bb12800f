/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of Criterion that the unit tests of the guest program use, for builds without Criterion:
 * static ones, and those for another architecture. tests/support/runner/runner.c runs the tests.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

struct runner_options {
	/* lets a list of options be empty */
	int none;
	void (*init)(void);
	void (*fini)(void);
	/* seconds; 0: the suite's, or none */
	double timeout;
	/* expected exit status, or signal */
	int exit_code, signal;
};

struct runner_test {
	const char *suite, *name;
	/* NULL: the options of the suite */
	void (*run)(void);
	struct runner_options options;
	struct runner_test *next;
};

void runner_add(struct runner_test *t);

/* Ends the test, which has not been run. */
void runner_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define RUNNER_ADD_(id, ...)                                      \
	__attribute__((constructor)) static void id##_add(void)   \
	{                                                         \
		static struct runner_test test = { __VA_ARGS__ }; \
                                                                  \
		runner_add(&test);                                \
	}

#define TestSuite(s, ...)                                                           \
	RUNNER_ADD_(runner_##s, .suite = #s, .options = { .none = 0, __VA_ARGS__ }) \
	struct runner_test

#define Test(s, n, ...)                                                                 \
	static void runner_##s##_##n(void);                                             \
	RUNNER_ADD_(runner_##s##_##n, .suite = #s, .name = #n, .run = runner_##s##_##n, \
		    .options = { .none = 0, __VA_ARGS__ })                              \
	static void runner_##s##_##n(void)

#define cr_skip_test(...) runner_skip("" __VA_ARGS__)

/* For the tests of the checks themselves, which report to Criterion. */
bool runner_expect(bool holds, bool ends_test, const char *file, int line, const char *what,
		   const char *fmt, ...) __attribute__((format(printf, 6, 7)));

#define RUNNER_EXPECT_(ends, holds, what, ...) \
	((void)runner_expect(holds, ends, __FILE__, __LINE__, what, " " __VA_ARGS__))
#define cr_expect(what, ...)     RUNNER_EXPECT_(false, (what), #what, __VA_ARGS__)
#define cr_assert(what, ...)     RUNNER_EXPECT_(true, (what), #what, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)  RUNNER_EXPECT_(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)  RUNNER_EXPECT_(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) RUNNER_EXPECT_(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)  RUNNER_EXPECT_(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) \
	RUNNER_EXPECT_(false, strcmp((a), (b)) == 0, #a " is " #b, __VA_ARGS__)
