/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines as JSON objects, one a line (keys msg, level, ts, version, pid, name, source, subsystem and
 * the record's own). Never blocks: lines go to a bounded ring that a sink drains; what does not fit is
 * counted and reported. Never give it environment values, stdin bytes, file contents or specs.
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

/* One key of a record; the value is escaped, invalid UTF-8 replaced. */
struct log_field {
	const char *key, *value;
};

/* Sets the program's name ("kata-agent", "tatami-init") and source ("agent", "init"): kept by reference. */
void log_identity(const char *name, const char *source);

/* Records above this level are dropped. Default: info. */
void log_set_level(enum log_level level);

/* "info", "warn"/"warning", "error", "debug", "trace", "critical"/"fatal"/"panic"; false if unknown. */
bool log_level_parse(const char *s, enum log_level *out);

/* A sink takes one whole line with its newline; returns false when it can take nothing now (the line is
 * then kept in the ring). Default sink: a single non-blocking attempt on fd 2. */
typedef bool log_sink_fn(const char *line, size_t len, void *data);
void log_set_sink(log_sink_fn *fn, void *data);

/* Hands waiting lines to the sink until it refuses. Returns true when the ring is empty. */
bool log_flush(void);

/* Lines dropped because the ring was full, since start. */
uint64_t log_dropped(void);

/* The call on whose behalf the program works at the moment. Every member may be NULL or empty: records then go without
 * that key. */
struct log_context {
	const char *method;       /* key "method" */
	const char *container_id; /* key "container-id" */
	const char *exec_id;      /* key "exec-id" */
	const char *sandbox;      /* key "sandbox", in place of log_set_sandbox()'s */
};

/* Values of a context are cut to this many bytes. */
#define LOG_CONTEXT_VALUE_MAX 128

/* Adds the context's keys to every record from now on, until the next call of this function. Returns the former context,
 * which the caller restores. NULL: none. Kept by reference, the strings too. */
const struct log_context *log_context_set(const struct log_context *context);

/* Returns a copy of the current context, for work that goes on after its call. NULL if there is no context, or no memory. */
struct log_context *log_context_copy(void);

/* Releases a copy; records go without it if it is the current one. NULL is allowed. */
void log_context_free(struct log_context *context);

/* Sets the sandbox that every record names under the key "sandbox". NULL: none. Kept by reference. */
void log_set_sandbox(const char *id);

/* One record: subsystem, message (printf). Message text longer than 2 KiB is cut. A field replaces the context's of the
 * same key. */
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
