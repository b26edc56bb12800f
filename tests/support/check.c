/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison and text of the checks; see check.h. */
#include "tests/support/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* characters of a string that are printed, and how many of them come before a difference */
#define SHOWN        400
#define SHOWN_BEFORE 100
#define SHOWN_BYTES  16
#define VALUES_MAX   4096

static struct {
	check_report_fn *report;
	void *data;
	/* the process that reports */
	pid_t pid;
	/* values of the check that has just failed, or "" */
	char values[VALUES_MAX];
	/* errno before the values were printed, for a text that prints it */
	int saved_errno;
} check;

void
check_set_report(check_report_fn *report, void *data)
{
	check.report = report;
	check.data = data;
	check.pid = getpid();
}

/* ---- values ---- */

/* Returns less than 0, 0 or more than 0, like strcmp(). */
static int
check_order(struct check_value a, struct check_value b)
{
	bool a_is_negative = a.type == CHECK_SIGNED && a.i < 0;
	bool b_is_negative = b.type == CHECK_SIGNED && b.i < 0;

	if (a.type == CHECK_POINTER || b.type == CHECK_POINTER) {
		a.u = a.type == CHECK_POINTER ? (uintptr_t)a.p : a.u;
		b.u = b.type == CHECK_POINTER ? (uintptr_t)b.p : b.u;
		return a.u < b.u ? -1 : a.u > b.u;
	}
	if (a_is_negative != b_is_negative)
		return a_is_negative ? -1 : 1;
	if (a_is_negative)
		return a.i < b.i ? -1 : a.i > b.i;
	return a.u < b.u ? -1 : a.u > b.u;
}

static void
check_print(FILE *f, struct check_value v)
{
	switch (v.type) {
	case CHECK_SIGNED:
		(void)fprintf(f, "%jd", v.i);
		break;
	case CHECK_UNSIGNED:
		(void)fprintf(f, v.u > UINT8_MAX ? "%ju (%#jx)" : "%ju", v.u, v.u);
		break;
	case CHECK_BOOL:
		(void)fputs(v.u ? "true" : "false", f);
		break;
	case CHECK_POINTER:
		if (v.p)
			(void)fprintf(f, "%#" PRIxPTR, (uintptr_t)v.p);
		else
			(void)fputs("NULL", f);
		break;
	}
}

/* Opens the text of the values. check_values_end() closes it. */
static FILE *
check_values(void)
{
	check.saved_errno = errno;
	check.values[0] = '\0';
	return fmemopen(check.values, sizeof(check.values), "we");
}

static void
check_values_end(FILE *f)
{
	(void)fclose(f);
	errno = check.saved_errno;
}

bool
check_compare(enum check_op op, struct check_value a, struct check_value b)
{
	int order = check_order(a, b);
	bool holds = false;
	FILE *f;

	switch (op) {
	case CHECK_OP_EQ:
		holds = order == 0;
		break;
	case CHECK_OP_NE:
		holds = order != 0;
		break;
	case CHECK_OP_LT:
		holds = order < 0;
		break;
	case CHECK_OP_LE:
		holds = order <= 0;
		break;
	case CHECK_OP_GT:
		holds = order > 0;
		break;
	case CHECK_OP_GE:
		holds = order >= 0;
		break;
	}
	if (holds || !(f = check_values()))
		return holds;
	check_print(f, a);
	(void)fputs(" and ", f);
	check_print(f, b);
	check_values_end(f);
	return false;
}

/* ---- strings ---- */

/* Prints a string in quotes on one line, from `from` on, and not all of a long one. */
static void
check_print_text(FILE *f, const char *text, size_t from)
{
	if (!text) {
		(void)fputs("NULL", f);
		return;
	}
	(void)fputs(from ? "...\"" : "\"", f);
	for (size_t i = from; text[i] && i < from + SHOWN; i++) {
		if (text[i] == '\n')
			(void)fputs("\\n", f);
		else if (text[i] == '"' || text[i] == '\\')
			(void)fprintf(f, "\\%c", text[i]);
		else if ((unsigned char)text[i] < ' ')
			(void)fprintf(f, "\\x%02x", (unsigned int)text[i]);
		else
			(void)fputc(text[i], f);
	}
	(void)fputs(strnlen(text + from, SHOWN + 1) > SHOWN ? "\"..." : "\"", f);
}

/* Returns where to begin to print two strings, so that their first difference is shown. */
static size_t
check_begin(const char *a, const char *b)
{
	size_t n = 0;

	while (a && b && a[n] && a[n] == b[n])
		n++;
	return n > SHOWN - SHOWN_BEFORE ? n - SHOWN_BEFORE : 0;
}

bool
check_texts(enum check_text_op op, const char *a, const char *b)
{
	bool holds = false;
	size_t from;
	FILE *f;

	if (a && b && op == CHECK_TEXT_IS)
		holds = strcmp(a, b) == 0;
	else if (a && b)
		holds = (strstr(a, b) != NULL) == (op == CHECK_TEXT_HAS);
	if (holds || !(f = check_values()))
		return holds;
	from = op == CHECK_TEXT_IS ? check_begin(a, b) : 0;
	check_print_text(f, a, from);
	(void)fputs(" and ", f);
	check_print_text(f, b, from);
	check_values_end(f);
	return false;
}

/* ---- bytes ---- */

static void
check_print_bytes(FILE *f, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n && i < SHOWN_BYTES; i++)
		(void)fprintf(f, "%s%02x", i ? " " : "", bytes[i]);
}

bool
check_bytes(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;
	size_t at = 0;
	FILE *f;

	while (at < n && x[at] == y[at])
		at++;
	if (at == n || !(f = check_values()))
		return at == n;
	(void)fprintf(f, "from byte %zu of %zu on ", at, n);
	check_print_bytes(f, x + at, n - at);
	(void)fputs(" and ", f);
	check_print_bytes(f, y + at, n - at);
	check_values_end(f);
	return false;
}

/* ---- results with an error ---- */

static void
check_print_result(struct check_value result, const struct error *err)
{
	FILE *f = check_values();

	if (!f)
		return;
	check_print(f, result);
	(void)fprintf(f, ", error %s ", error_code_name(err->code));
	check_print_text(f, err->msg, 0);
	check_values_end(f);
}

bool
check_ok(struct check_value result, const struct error *err)
{
	bool is_number = result.type == CHECK_SIGNED || result.type == CHECK_UNSIGNED;

	if (is_number ? result.u == 0 : check_order(result, check_unsigned(0)) != 0)
		return true;
	check_print_result(result, err);
	return false;
}

bool
check_fails(struct check_value result, const struct error *err, enum error_code code,
	    const char *part)
{
	bool is_number = result.type == CHECK_SIGNED || result.type == CHECK_UNSIGNED;
	int order = check_order(result, check_unsigned(0));

	if ((is_number ? order < 0 : order == 0) && err->code == code && strstr(err->msg, part))
		return true;
	check_print_result(result, err);
	return false;
}

/* ---- reports ---- */

static void
check_failed(const char *file, int line, bool ends_test, const char *what, const char *fmt,
	     va_list args)
{
	/* Not on the heap: a report that ends the test does not return. */
	static char extra[VALUES_MAX], text[3 * VALUES_MAX];
	bool has_values = check.values[0] != '\0';

	(void)vsnprintf(extra, sizeof(extra), fmt, args);
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s", what, has_values ? ": " : "", check.values,
		       extra[0] && extra[1] ? ":" : "", extra[0] && extra[1] ? extra : "");
	check.values[0] = '\0';
	if (check.report && check.pid == getpid()) {
		check.report(file, line, text, ends_test, check.data);
		return;
	}
	(void)dprintf(STDERR_FILENO, "%s:%d: %s\n", file, line, text);
	_exit(1);
}

bool
check_goes_on(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	check_failed(file, line, false, what, fmt, args);
	va_end(args);
	return false;
}

bool
check_ends(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	check_failed(file, line, true, what, fmt, args);
	va_end(args);
	_exit(1);
}
