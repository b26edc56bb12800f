/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log records as JSON objects, one a line, with the keys msg, level, ts, version, pid, name,
 * source, subsystem and those of the record. Never blocks: lines are stored in a bounded ring that
 * a sink drains; lines that do not fit are counted and reported. Records must not contain values of
 * environment variables, input, file contents or specs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_CRIT,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

/* A key of a record. The value is escaped, and invalid UTF-8 is replaced. */
struct log_field {
	const char *key, *value;
};

/* Sets the program's name ("kata-agent", "tatami-init") and source ("agent", "init"): kept by
 * reference. */
void log_identity(const char *name, const char *source);

/* Sets the level above which records are dropped. Default: info. */
void log_set_level(enum log_level level);

/* Parses "info", "warn"/"warning", "error", "debug", "trace", "critical"/"fatal"/"panic". Returns
 * false for other words. */
bool log_level_parse(const char *s, enum log_level *out);

/* A sink writes one line including its newline, or returns false if it cannot write now; the line
 * then stays in the ring. The default sink makes one non-blocking attempt on fd 2. */
typedef bool log_sink_fn(const char *line, size_t len, void *data);
void log_set_sink(log_sink_fn *fn, void *data);

/* Passes waiting lines to the sink until it returns false. Returns whether the ring is empty. */
bool log_flush(void);

/* Returns the number of lines dropped since the start because the ring was full. */
uint64_t log_dropped(void);

/* The call on whose behalf the program works at the moment. Every member may be NULL or empty:
 * records then go without that key. */
struct log_context {
	/* key "method" */
	const char *method;
	/* key "container-id" */
	const char *container_id;
	/* key "exec-id" */
	const char *exec_id;
	/* key "sandbox", in place of log_set_sandbox()'s */
	const char *sandbox;
};

/* Values of a context are cut to this many bytes. */
#define LOG_CONTEXT_VALUE_MAX 128

/* Adds the context's keys to every record from now on, until the next call of this function.
 * Returns the former context, which the caller restores. NULL: none. Kept by reference, the
 * strings too. */
const struct log_context *log_context_set(const struct log_context *context);

/* Returns a copy of the current context, for work that goes on after its call. NULL if there is
 * no context, or no memory. */
struct log_context *log_context_copy(void);

/* Releases a copy; records go without it if it is the current one. NULL is allowed. */
void log_context_free(struct log_context *context);

/* Sets the sandbox that every record names under the key "sandbox". NULL: none. Kept by
 * reference. */
void log_set_sandbox(const char *id);

/* Writes a record with subsystem and message (printf format). Messages longer than 2 KiB are
 * truncated. A field replaces that of the context with the same key. */
void log_write(enum log_level level, const char *subsystem, const struct log_field *fields,
	       size_t n_fields, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same for a record that programs look for: `event` (lib/log_event.h) is its field "event". */
void log_event(enum log_level level, const char *subsystem, const char *event,
	       const struct log_field *fields, size_t n_fields, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

#define log_crit(sub, ...)  log_write(LOG_LEVEL_CRIT, sub, NULL, 0, __VA_ARGS__)
#define log_error(sub, ...) log_write(LOG_LEVEL_ERROR, sub, NULL, 0, __VA_ARGS__)
#define log_warn(sub, ...)  log_write(LOG_LEVEL_WARN, sub, NULL, 0, __VA_ARGS__)
#define log_info(sub, ...)  log_write(LOG_LEVEL_INFO, sub, NULL, 0, __VA_ARGS__)
#define log_debug(sub, ...) log_write(LOG_LEVEL_DEBUG, sub, NULL, 0, __VA_ARGS__)
