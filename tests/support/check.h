/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of all test programs. A check that does not hold prints its expressions and their values.
 *
 *   CHECK_EQ(n, 3);
 *   CHECK_STR(name, "eth0", "row %zu", i);
 *   REQUIRE_OK(loop_run_once(loop, 10, &err), &err);
 *
 * Every check takes a text for the failure (printf format and arguments), which is evaluated only
 * then, and is an expression: whether it held. CHECK… records the failure and goes on; REQUIRE…
 * ends the test. In a process that the test has forked both exit with status 1, because only the
 * exit status gets from there to the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* The condition holds. */
#define CHECK(what, ...)   check_held((what) || CHECK_GOES_ON_(#what, __VA_ARGS__))
#define REQUIRE(what, ...) check_held((what) || CHECK_ENDS_(#what, __VA_ARGS__))

/* Two integers, of any two types, or two pointers. The comparison is that of mathematics: -1 is
 * less than UINT64_MAX. */
#define CHECK_EQ(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, EQ, #a " == " #b, a, b, __VA_ARGS__)
#define CHECK_NE(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, NE, #a " != " #b, a, b, __VA_ARGS__)
#define CHECK_LT(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, LT, #a " < " #b, a, b, __VA_ARGS__)
#define CHECK_LE(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, LE, #a " <= " #b, a, b, __VA_ARGS__)
#define CHECK_GT(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, GT, #a " > " #b, a, b, __VA_ARGS__)
#define CHECK_GE(a, b, ...)   CHECK_COMPARE_(CHECK_GOES_ON_, GE, #a " >= " #b, a, b, __VA_ARGS__)
#define REQUIRE_EQ(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, EQ, #a " == " #b, a, b, __VA_ARGS__)
#define REQUIRE_NE(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, NE, #a " != " #b, a, b, __VA_ARGS__)
#define REQUIRE_LT(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, LT, #a " < " #b, a, b, __VA_ARGS__)
#define REQUIRE_LE(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, LE, #a " <= " #b, a, b, __VA_ARGS__)
#define REQUIRE_GT(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, GT, #a " > " #b, a, b, __VA_ARGS__)
#define REQUIRE_GE(a, b, ...) CHECK_COMPARE_(CHECK_ENDS_, GE, #a " >= " #b, a, b, __VA_ARGS__)

/* Two strings are equal; one contains the other, or does not. NULL is equal to nothing, and
 * contains nothing. */
#define CHECK_STR(a, b, ...) CHECK_TEXTS_(CHECK_GOES_ON_, IS, #a " is " #b, a, b, __VA_ARGS__)
#define CHECK_HAS(a, part, ...) \
	CHECK_TEXTS_(CHECK_GOES_ON_, HAS, #a " contains " #part, a, part, __VA_ARGS__)
#define CHECK_LACKS(a, part, ...) \
	CHECK_TEXTS_(CHECK_GOES_ON_, LACKS, #a " lacks " #part, a, part, __VA_ARGS__)
#define REQUIRE_STR(a, b, ...) CHECK_TEXTS_(CHECK_ENDS_, IS, #a " is " #b, a, b, __VA_ARGS__)
#define REQUIRE_HAS(a, part, ...) \
	CHECK_TEXTS_(CHECK_ENDS_, HAS, #a " contains " #part, a, part, __VA_ARGS__)
#define REQUIRE_LACKS(a, part, ...) \
	CHECK_TEXTS_(CHECK_ENDS_, LACKS, #a " lacks " #part, a, part, __VA_ARGS__)

/* n bytes of both are equal. Prints them from the first difference on. */
#define CHECK_BYTES(a, b, n, ...)   CHECK_BYTES_(CHECK_GOES_ON_, #a " is " #b, a, b, n, __VA_ARGS__)
#define REQUIRE_BYTES(a, b, n, ...) CHECK_BYTES_(CHECK_ENDS_, #a " is " #b, a, b, n, __VA_ARGS__)

/* The result of a function with a struct error *: 0, true or a pointer. Prints the error. */
#define CHECK_OK(r, err, ...)   CHECK_OK_(CHECK_GOES_ON_, #r " succeeds", r, err, __VA_ARGS__)
#define REQUIRE_OK(r, err, ...) CHECK_OK_(CHECK_ENDS_, #r " succeeds", r, err, __VA_ARGS__)
/* It is negative, false or NULL, the error has this code, and its text contains `part`. */
#define CHECK_FAILS(r, err, code, part, ...) \
	CHECK_FAILS_(CHECK_GOES_ON_, #r " fails with " #code, r, err, code, part, __VA_ARGS__)
#define REQUIRE_FAILS(r, err, code, part, ...) \
	CHECK_FAILS_(CHECK_ENDS_, #r " fails with " #code, r, err, code, part, __VA_ARGS__)

/* ---- for the program that runs the tests ---- */

/* Takes the text of a failed check: "FILE:LINE: EXPRESSION: VALUES: TEXT", the place apart. Does
 * not return if `ends_test`, unless it cannot end it. */
typedef void check_report_fn(const char *file, int line, const char *text, bool ends_test,
			     void *data);

/* Sets where this process reports failed checks. Without a report, and in processes that are forked
 * afterwards, a failed check prints to stderr and exits. */
void check_set_report(check_report_fn *report, void *data);

/* ---- for the macros above ---- */

struct check_value {
	enum { CHECK_SIGNED, CHECK_UNSIGNED, CHECK_BOOL, CHECK_POINTER } type;
	union {
		intmax_t i;
		uintmax_t u;
		const volatile void *p;
	};
};

enum check_op { CHECK_OP_EQ, CHECK_OP_NE, CHECK_OP_LT, CHECK_OP_LE, CHECK_OP_GT, CHECK_OP_GE };
enum check_text_op { CHECK_TEXT_IS, CHECK_TEXT_HAS, CHECK_TEXT_LACKS };

/* Each returns whether the check holds, and otherwise keeps the values for the report, which comes
 * next. */
bool check_compare(enum check_op op, struct check_value a, struct check_value b);
bool check_texts(enum check_text_op op, const char *a, const char *b);
bool check_bytes(const void *a, const void *b, size_t n);
bool check_ok(struct check_value result, const struct error *err);
bool check_fails(struct check_value result, const struct error *err, enum error_code code,
		 const char *part);

/* Reports a failed check; the text begins with a blank. Returns false. */
bool check_goes_on(const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool check_ends(const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* Keeps compilers from warning about a result that is not used. */
static inline bool
check_held(bool held)
{
	return held;
}

static inline struct check_value
check_signed(intmax_t i)
{
	return (struct check_value){ CHECK_SIGNED, { .i = i } };
}

static inline struct check_value
check_unsigned(uintmax_t u)
{
	return (struct check_value){ CHECK_UNSIGNED, { .u = u } };
}

static inline struct check_value
check_bool(bool b)
{
	return (struct check_value){ CHECK_BOOL, { .u = b } };
}

static inline struct check_value
check_pointer(const volatile void *p)
{
	return (struct check_value){ CHECK_POINTER, { .p = p } };
}

/* Fails to compile for floating point numbers, structs, and pointers to functions. */
/* clang-format off */
#define CHECK_VALUE_(x)                       \
	_Generic((x),                         \
		bool: check_bool,             \
		char: check_signed,           \
		signed char: check_signed,    \
		short: check_signed,          \
		int: check_signed,            \
		long: check_signed,           \
		long long: check_signed,      \
		unsigned char: check_unsigned,      \
		unsigned short: check_unsigned,     \
		unsigned int: check_unsigned,       \
		unsigned long: check_unsigned,      \
		unsigned long long: check_unsigned, \
		default: check_pointer)(x)
/* clang-format on */

/* The blank keeps a check without a text from having an empty format. */
#define CHECK_GOES_ON_(what, ...) check_goes_on(__FILE__, __LINE__, what, " " __VA_ARGS__)
#define CHECK_ENDS_(what, ...)    check_ends(__FILE__, __LINE__, what, " " __VA_ARGS__)

/* Operands are evaluated from left to right: the second one may be what the first has set. */
#define CHECK_COMPARE_(report, op, what, a, b, ...)                                              \
	({                                                                                       \
		const struct check_value check_a_ = CHECK_VALUE_(a), check_b_ = CHECK_VALUE_(b); \
		check_held(check_compare(CHECK_OP_##op, check_a_, check_b_) ||                   \
			   report(what, __VA_ARGS__));                                           \
	})
#define CHECK_TEXTS_(report, op, what, a, b, ...)                              \
	({                                                                     \
		const char *check_a_ = (a), *check_b_ = (b);                   \
		check_held(check_texts(CHECK_TEXT_##op, check_a_, check_b_) || \
			   report(what, __VA_ARGS__));                         \
	})
#define CHECK_BYTES_(report, what, a, b, n, ...)                                             \
	({                                                                                   \
		const void *check_a_ = (a), *check_b_ = (b);                                 \
		check_held(check_bytes(check_a_, check_b_, n) || report(what, __VA_ARGS__)); \
	})
#define CHECK_OK_(report, what, r, err, ...)                                      \
	({                                                                        \
		const struct check_value check_r_ = CHECK_VALUE_(r);              \
		check_held(check_ok(check_r_, err) || report(what, __VA_ARGS__)); \
	})
#define CHECK_FAILS_(report, what, r, err, code, part, ...)                                      \
	({                                                                                       \
		const struct check_value check_r_ = CHECK_VALUE_(r);                             \
		check_held(check_fails(check_r_, err, code, part) || report(what, __VA_ARGS__)); \
	})
