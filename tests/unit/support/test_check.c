/* SPDX-License-Identifier: Apache-2.0 */
/* The checks themselves: what holds, what a failed one prints, and where it ends the test. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"

#define TEXT_MAX 4096

/* The reports of failed checks, which do not fail the test here. */
static struct {
	char text[TEXT_MAX];
	unsigned int n;
	jmp_buf end;
} reported;

static void
keep_report(const char *file, int line, const char *text, bool ends_test, void *data)
{
	(void)file;
	(void)line;
	(void)data;
	reported.n++;
	(void)snprintf(reported.text, sizeof(reported.text), "%s", text);
	if (ends_test)
		longjmp(reported.end, 1);
}

static void
keep_reports(void)
{
	check_set_report(keep_report, NULL);
}

/* Criterion's own checks look at the reports. */
static void
reports(bool held, const char *text)
{
	cr_expect_eq(held, text == NULL, "%s: reported \"%s\"", text ? text : "held",
		     reported.text);
	cr_expect_eq(reported.n, text != NULL);
	if (text)
		cr_expect_str_eq(reported.text, text, "%s, not %s", reported.text, text);
	reported.n = 0;
	reported.text[0] = '\0';
}

Test(check, integers, .init = keep_reports)
{
	unsigned int three = 3;
	unsigned char byte = 200;
	int minus = -1;
	bool yes = true;
	enum { NONE, SOME } kind = SOME;

	reports(CHECK_EQ(three, 3), NULL);
	reports(CHECK_EQ(three, 4), "three == 4: 3 and 4");
	reports(CHECK_EQ(minus, -1ll), NULL);
	reports(CHECK_NE(minus, UINT_MAX), NULL);
	reports(CHECK_LT(minus, three), NULL);
	reports(CHECK_LT(three, minus), "three < minus: 3 and -1");
	reports(CHECK_LT(LLONG_MIN, ULLONG_MAX), NULL);
	reports(CHECK_GT(ULLONG_MAX, -1), NULL);
	reports(CHECK_LT(-3, -2), NULL);
	reports(CHECK_LE(three, 2), "three <= 2: 3 and 2");
	reports(CHECK_LE(three, 3), NULL);
	reports(CHECK_GE(three, 4), "three >= 4: 3 and 4");
	reports(CHECK_GE(three, 3), NULL);
	reports(CHECK_GT(three, 3), "three > 3: 3 and 3");
	reports(CHECK_NE(three, 3), "three != 3: 3 and 3");
	reports(CHECK_EQ(byte, 'x'), "byte == 'x': 200 and 120");
	reports(CHECK_EQ(0xffff0000u, 1), "0xffff0000u == 1: 4294901760 (0xffff0000) and 1");
	reports(CHECK_EQ(yes, false), "yes == false: true and 0");
	reports(CHECK_EQ(kind, NONE), "kind == NONE: 1 and 0");
}

Test(check, pointers, .init = keep_reports)
{
	const char *text = "text", *none = NULL;
	char want[64];

	reports(CHECK_EQ(text, text), NULL);
	reports(CHECK_EQ(none, NULL), NULL);
	(void)snprintf(want, sizeof(want), "text == NULL: %p and NULL", (const void *)text);
	reports(CHECK_EQ(text, NULL), want);
	reports(CHECK(none), "none");
	reports(CHECK(text, "not evaluated: %d", *(volatile int *)NULL), NULL);
}

Test(check, strings, .init = keep_reports)
{
	char a[600], b[600];

	reports(CHECK_STR("a", "a"), NULL);
	reports(CHECK_STR("a\n\001", "b\""),
		"\"a\\n\\001\" is \"b\\\"\": \"a\\n\\x01\" and \"b\\\"\"");
	reports(CHECK_STR(NULL, "a"), "NULL is \"a\": NULL and \"a\"");
	reports(CHECK_STR(NULL, NULL), "NULL is NULL: NULL and NULL");
	reports(CHECK_HAS("abc", "bc"), NULL);
	reports(CHECK_HAS("abc", "d"), "\"abc\" contains \"d\": \"abc\" and \"d\"");
	reports(CHECK_LACKS("abc", "d"), NULL);
	reports(CHECK_LACKS("abc", "b"), "\"abc\" lacks \"b\": \"abc\" and \"b\"");
	reports(CHECK_LACKS(NULL, "b"), "NULL lacks \"b\": NULL and \"b\"");

	/* The difference in two long strings is shown. */
	memset(a, 'x', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(b));
	b[550] = 'y';
	(void)CHECK_STR(a, b);
	cr_expect(strstr(reported.text, "a is b: ...\"xxx") && strstr(reported.text, "xyx"), "%s",
		  reported.text);
	cr_expect_lt(strlen(reported.text), 500u);
}

Test(check, bytes, .init = keep_reports)
{
	reports(CHECK_BYTES("abcd", "abxd", 2), NULL);
	reports(CHECK_BYTES("abcd", "abxd", 4),
		"\"abcd\" is \"abxd\": from byte 2 of 4 on 63 64 and 78 64");
	reports(CHECK_BYTES(NULL, "", 0), NULL);
}

Test(check, errors, .init = keep_reports)
{
	struct error err = ERROR_INIT;
	int result = 0;

	reports(CHECK_OK(result, &err), NULL);
	reports(CHECK_OK(&err, &err), NULL);
	reports(CHECK_OK((bool)true, &err), NULL);
	reports(CHECK_FAILS(result, &err, ERROR_OK, ""),
		"result fails with ERROR_OK: 0, error OK \"\"");
	result = error_set(&err, ERROR_NOT_FOUND, "thing 7 not found");
	reports(CHECK_OK(result, &err),
		"result succeeds: -1, error NOT_FOUND \"thing 7 not found\"");
	reports(CHECK_OK((void *)NULL, &err, "row %d", 4),
		"(void *)NULL succeeds: NULL, error NOT_FOUND \"thing 7 not found\": row 4");
	reports(CHECK_FAILS(result, &err, ERROR_NOT_FOUND, "thing"), NULL);
	reports(CHECK_FAILS((void *)NULL, &err, ERROR_NOT_FOUND, ""), NULL);
	reports(CHECK_FAILS(result, &err, ERROR_NOT_FOUND, "8"),
		"result fails with ERROR_NOT_FOUND: -1, error NOT_FOUND \"thing 7 not found\"");
	reports(CHECK_FAILS(result, &err, ERROR_ABORTED, "thing"),
		"result fails with ERROR_ABORTED: -1, error NOT_FOUND \"thing 7 not found\"");
}

static int n_calls;

static int
next_call(void)
{
	return ++n_calls;
}

static int
set_to(int *n, int value)
{
	return *n = value;
}

Test(check, evaluates_from_left_to_right, .init = keep_reports)
{
	int n = 0;
	char text[8] = "";

	reports(CHECK_EQ(set_to(&n, 3), n), NULL);
	reports(CHECK_EQ(n, set_to(&n, 4)), "n == set_to(&n, 4): 3 and 4");
	reports(CHECK_STR(strcpy(text, "x"), text[0] ? "x" : ""), NULL);
}

Test(check, evaluates_once_and_the_text_only_on_failure, .init = keep_reports)
{
	reports(CHECK_EQ(next_call(), 1, "%d", next_call()), NULL);
	cr_expect_eq(n_calls, 1);
	reports(CHECK_EQ(next_call(), 1, "then %d", next_call()),
		"next_call() == 1: 2 and 1: then 3");
}

Test(check, require_ends_the_test, .init = keep_reports)
{
	volatile int reached = 0;

	if (setjmp(reported.end) == 0) {
		REQUIRE(1 + 1 == 2);
		REQUIRE_EQ(1, 1);
		reached = 1;
		REQUIRE_STR("a", "b", "row %d", 3);
		reached = 2;
	}
	cr_expect_eq(reached, 1);
	reports(false, "\"a\" is \"b\": \"a\" and \"b\": row 3");
}

/* Runs `program` in a fork whose output is kept in reported.text. Returns its exit status. */
static int
run_fork(void (*program)(void))
{
	int out[2], status = -1;
	ssize_t n;
	size_t size = 0;
	pid_t pid;

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(out[1], STDERR_FILENO);
		program();
		_exit(0);
	}
	(void)close(out[1]);
	while ((n = read(out[0], reported.text + size, sizeof(reported.text) - 1 - size)) > 0)
		size += (size_t)n;
	reported.text[size] = '\0';
	(void)close(out[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
fail_in_fork(void)
{
	CHECK_EQ(2, 3);
	_exit(0);
}

/* Also where the test has set no report of its own. */
Test(check, ends_a_fork)
{
	cr_expect_eq(run_fork(fail_in_fork), 1);
	cr_expect(strstr(reported.text, "test_check.c:") &&
			  strstr(reported.text, ": 2 == 3: 2 and 3\n"),
		  "%s", reported.text);
}

/* ---- Criterion: check::reports_to_criterion runs this program, with tests that fail ---- */

/* Set for the program that runs the failing tests. */
#define FAIL "CHECK_TEST_FAILS"

Test(check_fails, goes_on)
{
	if (!getenv(FAIL))
		return;
	CHECK_EQ(1, 2, "first");
	CHECK_STR("a", "b", "second");
}

Test(check_fails, ends)
{
	if (!getenv(FAIL))
		return;
	REQUIRE_EQ(3, 4);
	CHECK_EQ(5, 6, "not reached");
}

Test(check_fails, passes)
{
	CHECK_EQ(1, 1);
	REQUIRE_STR("a", "a");
}

extern char **environ;

static void
run_failing_tests(void)
{
	static char *env[1024];
	size_t n = 0;

	/* Criterion passes on in its environment that this process is a test. */
	for (size_t i = 0; environ[i] && n < ARRAY_LEN(env) - 2; i++)
		if (strncmp(environ[i], "BXF", 3) != 0)
			env[n++] = environ[i];
	env[n++] = (char *)FAIL "=1";
	(void)execle("/proc/self/exe", "unit-support-check", "--tap", "--filter", "check_fails/*",
		     (char *)NULL, env);
	_exit(127);
}

Test(check, reports_to_criterion)
{
	static const char *const parts[] = {
		"not ok - check_fails::goes_on",
		"1 == 2: 1 and 2: first",
		"\"a\" is \"b\": \"a\" and \"b\": second",
		"not ok - check_fails::ends",
		"3 == 4: 3 and 4",
		"ok - check_fails::passes",
		"test_check.c:",
	};

	cr_expect_neq(run_fork(run_failing_tests), 0);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		cr_expect(strstr(reported.text, parts[i]), "no %s in %s", parts[i], reported.text);
	cr_expect(!strstr(reported.text, "not reached"), "%s", reported.text);
	cr_expect(!strstr(reported.text, "not ok - check_fails::passes"), "%s", reported.text);
}
