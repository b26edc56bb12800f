/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/work/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/json_put.h"

/* Between two updates on a terminal. */
#define UPDATE_NS (NS_PER_S / 10)
#define STEP_MAX  120
#define JSON_MAX  ((size_t)16 << 20)

/* A line of the result: a step, a warning, a fact or a file. */
struct row {
	char *key, *value;
	uint64_t number;
};

struct rows {
	struct row *items;
	size_t n;
};

struct report {
	enum report_mode mode;
	const char *program;
	/* Standard error is a terminal. */
	bool is_terminal;
	/* The terminal has an unfinished line. */
	bool has_line;
	uint64_t started, step_started, last_update;
	char step[STEP_MAX];
	struct rows steps, warnings, facts, files;
	/* A row was lost. */
	bool has_failed;
};

static void report_add(struct report *report, struct rows *rows, const char *key, const char *value,
		       uint64_t number);
static void report_end_step(struct report *report);
static void report_clear_line(struct report *report);
static void report_put_json(const struct report *report, const struct error *err,
			    struct json_put *w);

struct report *
report_new(enum report_mode mode, const char *program)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->mode = mode;
	report->program = program;
	report->is_terminal = mode == REPORT_TEXT && isatty(STDERR_FILENO);
	report->started = monotonic_ns();
	return report;
}

static void
report_rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		free(rows->items[i].key);
		free(rows->items[i].value);
	}
	free(rows->items);
}

void
report_free(struct report *report)
{
	if (!report)
		return;
	report_clear_line(report);
	report_rows_free(&report->steps);
	report_rows_free(&report->warnings);
	report_rows_free(&report->facts);
	report_rows_free(&report->files);
	free(report);
}

static void
report_add(struct report *report, struct rows *rows, const char *key, const char *value,
	   uint64_t number)
{
	struct row *grown = reallocarray(rows->items, rows->n + 1, sizeof(*grown));
	struct row row = { strdup(key), strdup(value), number };

	if (grown)
		rows->items = grown;
	if (grown && row.key && row.value) {
		rows->items[rows->n++] = row;
		return;
	}
	free(row.key);
	free(row.value);
	report->has_failed = true;
}

void
report_step(struct report *report, const char *format, ...)
{
	va_list ap;

	report_end_step(report);
	va_start(ap, format);
	(void)vsnprintf(report->step, sizeof(report->step), format, ap);
	va_end(ap);
	report->step_started = report->last_update = monotonic_ns();
	if (report->mode != REPORT_TEXT)
		return;
	report_clear_line(report);
	if (report->is_terminal)
		(void)fprintf(stderr, "%s: %s", report->program, report->step);
	else
		(void)fprintf(stderr, "%s: %s\n", report->program, report->step);
	report->has_line = report->is_terminal;
}

static void
report_end_step(struct report *report)
{
	if (report->step[0])
		report_add(report, &report->steps, report->step, "",
			   (monotonic_ns() - report->step_started) / NS_PER_MS);
	report->step[0] = '\0';
}

static void
report_clear_line(struct report *report)
{
	/* Back to the first column, and clear to the end of the line (ECMA-48, EL). */
	if (report->has_line)
		(void)fputs("\r\033[K", stderr);
	report->has_line = false;
}

void
report_progress(struct report *report, uint64_t done, uint64_t total)
{
	uint64_t now;

	if (!report->is_terminal)
		return;
	now = monotonic_ns();
	if (now - report->last_update < UPDATE_NS)
		return;
	report->last_update = now;
	report_clear_line(report);
	(void)fprintf(stderr, "%s: %s", report->program, report->step);
	if (total)
		(void)fprintf(stderr, " %llu %%", (unsigned long long)(done / (total / 100 + 1)));
	report->has_line = true;
}

void
report_warn(struct report *report, const char *format, ...)
{
	auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		report->has_failed = true;
		return;
	}
	report_add(report, &report->warnings, "", text, 0);
	if (report->mode == REPORT_JSON)
		return;
	report_clear_line(report);
	(void)fprintf(stderr, "%s: warning: %s\n", report->program, text);
}

void
report_fact(struct report *report, const char *key, const char *value)
{
	report_add(report, &report->facts, key, value, 0);
}

void
report_file(struct report *report, const char *path, uint64_t size)
{
	report_add(report, &report->files, "", path, size);
}

int
report_finish(struct report *report, const struct error *err)
{
	report_end_step(report);
	report_clear_line(report);
	if (report->mode == REPORT_JSON) {
		struct buf text;
		struct json_put w = { .buf = &text };

		buf_init(&text, JSON_MAX);
		report_put_json(report, err, &w);
		if (!w.has_failed && !report->has_failed)
			(void)printf("%.*s\n", (int)buf_len(&text), (const char *)buf_head(&text));
		buf_release(&text);
		if (w.has_failed || report->has_failed)
			return -1;
	}
	if (err)
		(void)fprintf(stderr, "%s: %s\n", report->program, err->msg);
	for (size_t i = 0; !err && report->mode == REPORT_TEXT && i < report->files.n; i++)
		(void)printf("%s: %llu bytes\n", report->files.items[i].value,
			     (unsigned long long)report->files.items[i].number);
	for (size_t i = 0; !err && report->mode == REPORT_TEXT && i < report->facts.n; i++)
		(void)printf("%s: %s\n", report->facts.items[i].key, report->facts.items[i].value);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

static void
report_put_json(const struct report *report, const struct error *err, struct json_put *w)
{
	json_put_begin(w, NULL, '{');
	json_put_bool(w, "ok", !err);
	if (err) {
		json_put_text(w, "code", error_code_name(err->code));
		json_put_text(w, "error", err->msg);
	}
	json_put_begin(w, "files", '[');
	for (size_t i = 0; !err && i < report->files.n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "path", report->files.items[i].value);
		json_put_u64(w, "bytes", report->files.items[i].number);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	json_put_begin(w, "facts", '{');
	for (size_t i = 0; i < report->facts.n; i++)
		json_put_text(w, report->facts.items[i].key, report->facts.items[i].value);
	json_put_end(w, '}');
	json_put_begin(w, "warnings", '[');
	for (size_t i = 0; i < report->warnings.n; i++)
		json_put_text(w, NULL, report->warnings.items[i].value);
	json_put_end(w, ']');
	json_put_begin(w, "steps", '[');
	for (size_t i = 0; i < report->steps.n; i++) {
		json_put_begin(w, NULL, '{');
		json_put_text(w, "step", report->steps.items[i].key);
		json_put_u64(w, "milliseconds", report->steps.items[i].number);
		json_put_end(w, '}');
	}
	json_put_end(w, ']');
	json_put_u64(w, "milliseconds", (monotonic_ns() - report->started) / NS_PER_MS);
	json_put_end(w, '}');
}
