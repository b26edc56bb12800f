/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines as JSON. Lines wait in a ring while the sink cannot write; lines that do not fit are
 * dropped, and their number is logged once there is room.
 */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/json_put.h"
#include "lib/log_event.h"
#include "lib/version.h"

#define RING_SIZE (32u << 10)
#define LINE_MAX_ 4096u
#define MSG_MAX_  2048u

struct line {
	char text[LINE_MAX_];
	size_t len;
	struct json_put json;
};

/* Lines as 16-bit length and bytes. Not in g_log: its initialiser would put 32 KiB into the
 * program's file. */
static char g_ring[RING_SIZE];

static struct {
	enum log_level level;
	const char *name, *source;
	const struct log_context *context;
	const char *sandbox;
	log_sink_fn *sink;
	void *sink_data;
	/* The used part of g_ring. */
	size_t head, used;
	uint64_t dropped, reported;
} g_log = { .level = LOG_LEVEL_INFO, .name = "kata-agent", .source = "agent" };

static const struct {
	const char *word;
	enum log_level level;
} level_words[] = {
	{ "critical", LOG_LEVEL_CRIT }, { "fatal", LOG_LEVEL_CRIT },  { "panic", LOG_LEVEL_CRIT },
	{ "error", LOG_LEVEL_ERROR },   { "warn", LOG_LEVEL_WARN },   { "warning", LOG_LEVEL_WARN },
	{ "info", LOG_LEVEL_INFO },     { "debug", LOG_LEVEL_DEBUG }, { "trace", LOG_LEVEL_TRACE },
};

static const char *const level_names[] = {
	[LOG_LEVEL_CRIT] = "CRIT", [LOG_LEVEL_ERROR] = "ERRO", [LOG_LEVEL_WARN] = "WARN",
	[LOG_LEVEL_INFO] = "INFO", [LOG_LEVEL_DEBUG] = "DEBG", [LOG_LEVEL_TRACE] = "TRCE",
};

void
log_identity(const char *name, const char *source)
{
	g_log.name = name;
	g_log.source = source;
}

const struct log_context *
log_context_set(const struct log_context *context)
{
	const struct log_context *former = g_log.context;

	g_log.context = context;
	return former;
}

void
log_set_sandbox(const char *id)
{
	g_log.sandbox = id;
}

/* Copies the beginning of a value to *at and moves that on. NULL stays NULL. */
static const char *
context_put(char **at, const char *value)
{
	char *copy = *at;
	size_t n;

	if (!value)
		return NULL;
	n = strnlen(value, LOG_CONTEXT_VALUE_MAX);
	memcpy(copy, value, n);
	copy[n] = '\0';
	*at += n + 1;
	return copy;
}

static size_t
context_size(const char *value)
{
	return value ? strnlen(value, LOG_CONTEXT_VALUE_MAX) + 1 : 0;
}

struct log_context *
log_context_copy(void)
{
	const struct log_context *from = g_log.context;
	struct log_context *copy;
	char *at;

	if (!from)
		return NULL;
	copy = malloc(sizeof(*copy) + context_size(from->method) +
		      context_size(from->container_id) + context_size(from->exec_id) +
		      context_size(from->sandbox));
	if (!copy)
		return NULL;
	at = (char *)(copy + 1);
	copy->method = context_put(&at, from->method);
	copy->container_id = context_put(&at, from->container_id);
	copy->exec_id = context_put(&at, from->exec_id);
	copy->sandbox = context_put(&at, from->sandbox);
	return copy;
}

void
log_context_free(struct log_context *context)
{
	if (context && g_log.context == context)
		g_log.context = NULL;
	free(context);
}

void
log_set_level(enum log_level level)
{
	g_log.level = level;
}

bool
log_level_parse(const char *s, enum log_level *out)
{
	for (size_t i = 0; i < sizeof(level_words) / sizeof(level_words[0]); i++) {
		if (strcmp(s, level_words[i].word) == 0) {
			*out = level_words[i].level;
			return true;
		}
	}
	return false;
}

void
log_set_sink(log_sink_fn *fn, void *data)
{
	g_log.sink = fn;
	g_log.sink_data = data;
}

uint64_t
log_dropped(void)
{
	return g_log.dropped;
}

static bool
sink_line(const char *text, size_t len)
{
	ssize_t n;

	if (g_log.sink)
		return g_log.sink(text, len, g_log.sink_data);
	n = write(STDERR_FILENO, text, len);
	/* Only a temporary failure keeps the line: a broken stderr must not keep lines forever. */
	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static void
ring_copy_in(size_t pos, const void *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g_ring[(pos + i) % RING_SIZE] = ((const char *)src)[i];
}

static void
ring_copy_out(size_t pos, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((char *)dst)[i] = g_ring[(pos + i) % RING_SIZE];
}

static bool
ring_put(const char *text, size_t len)
{
	uint16_t n = (uint16_t)len;

	if (g_log.used + sizeof(n) + len > RING_SIZE)
		return false;
	ring_copy_in(g_log.head + g_log.used, &n, sizeof(n));
	ring_copy_in(g_log.head + g_log.used + sizeof(n), text, len);
	g_log.used += sizeof(n) + len;
	return true;
}

/* Appends a complete field, or nothing. */
static void
line_field(struct line *l, const char *key, const char *value)
{
	const struct json_put before = l->json;

	json_put_text(&l->json, key, value ? value : "");
	if (l->json.has_failed)
		l->json = before;
}

/* A key of the context, unless it is empty or the record has one of its own. */
static void
line_context_field(struct line *l, const struct log_field *fields, size_t n_fields, const char *key,
		   const char *value)
{
	char text[LOG_CONTEXT_VALUE_MAX + 1], *at = text;

	if (!value || !*value)
		return;
	for (size_t i = 0; i < n_fields; i++) {
		if (strcmp(fields[i].key, key) == 0)
			return;
	}
	line_field(l, key, context_put(&at, value));
}

static void
line_context(struct line *l, const struct log_field *fields, size_t n_fields)
{
	static const struct log_context none;
	const struct log_context *c = g_log.context ? g_log.context : &none;

	line_context_field(l, fields, n_fields, "sandbox", c->sandbox ? c->sandbox : g_log.sandbox);
	line_context_field(l, fields, n_fields, "method", c->method);
	line_context_field(l, fields, n_fields, "container-id", c->container_id);
	line_context_field(l, fields, n_fields, "exec-id", c->exec_id);
}

static void
line_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&ts.tv_sec, &tm);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, ts.tv_nsec);
	line_field(l, "ts", text);
}

static void
line_record(struct line *l, enum log_level level, const char *subsystem, const char *event,
	    const struct log_field *fields, size_t n_fields, const char *msg)
{
	char pid[16];

	/* Reserves room for the end of the line. */
	l->json = (struct json_put){ .text = l->text, .size = sizeof(l->text) - 2 };
	json_put_begin(&l->json, NULL, '{');
	/* first, and cut, so that the other fields find room */
	json_put_cut(&l->json, "msg", msg, LINE_MAX_ - 1024);
	line_field(l, "level", level_names[level]);
	line_time(l);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	line_field(l, "pid", pid);
	line_field(l, "name", g_log.name);
	line_field(l, "source", g_log.source);
	line_field(l, "subsystem", subsystem);
	line_field(l, "version", tatami_version);
	if (event)
		line_field(l, "event", event);
	for (size_t i = 0; i < n_fields; i++)
		line_field(l, fields[i].key, fields[i].value);
	line_context(l, fields, n_fields);
	l->len = l->json.len;
	memcpy(l->text + l->len, "}\n", 2);
	l->len += 2;
}

static void
log_report_dropped(void)
{
	char count[24], msg[96];
	const struct log_field field = { "lines", count };
	struct line l;

	if (g_log.dropped == g_log.reported)
		return;
	(void)snprintf(count, sizeof(count), "%llu",
		       (unsigned long long)(g_log.dropped - g_log.reported));
	(void)snprintf(msg, sizeof(msg), "%s log lines were dropped: they were not read in time",
		       count);
	line_record(&l, LOG_LEVEL_WARN, "log", EVENT_LINES_DROPPED, &field, 1, msg);
	if (sink_line(l.text, l.len))
		g_log.reported = g_log.dropped;
}

bool
log_flush(void)
{
	char text[LINE_MAX_];

	while (g_log.used) {
		uint16_t n;

		ring_copy_out(g_log.head, &n, sizeof(n));
		ring_copy_out(g_log.head + sizeof(n), text, n);
		if (!sink_line(text, n))
			return false;
		g_log.head = (g_log.head + sizeof(n) + n) % RING_SIZE;
		g_log.used -= sizeof(n) + n;
	}
	log_report_dropped();
	return true;
}

/* Writes a record whose level is wanted. The callers check that, because the buffers here are
 * zeroed on entry. */
static void log_write_record(enum log_level level, const char *subsystem, const char *event,
			     const struct log_field *fields, size_t n_fields, const char *fmt,
			     va_list ap) __attribute__((format(printf, 6, 0)));

static void
log_write_record(enum log_level level, const char *subsystem, const char *event,
		 const struct log_field *fields, size_t n_fields, const char *fmt, va_list ap)
{
	char msg[MSG_MAX_];
	struct line l;

	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	line_record(&l, level, subsystem, event, fields, n_fields, msg);
	if (!log_flush() || !sink_line(l.text, l.len))
		if (!ring_put(l.text, l.len))
			g_log.dropped++;
}

void
log_write(enum log_level level, const char *subsystem, const struct log_field *fields,
	  size_t n_fields, const char *fmt, ...)
{
	va_list ap;

	if (level > g_log.level)
		return;
	va_start(ap, fmt);
	log_write_record(level, subsystem, NULL, fields, n_fields, fmt, ap);
	va_end(ap);
}

void
log_event(enum log_level level, const char *subsystem, const char *event,
	  const struct log_field *fields, size_t n_fields, const char *fmt, ...)
{
	va_list ap;

	if (level > g_log.level)
		return;
	va_start(ap, fmt);
	log_write_record(level, subsystem, event, fields, n_fields, fmt, ap);
	va_end(ap);
}
