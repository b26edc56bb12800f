/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a container: a file of lines "TIME STREAM F|P TEXT", the format of Kubernetes'
 * runtimes. TIME is RFC 3339 in UTC, STREAM stdout or stderr; P marks a part of a line that goes
 * on. A file that would become too large is renamed to FILE.1, that one to FILE.2 and so on, and
 * the oldest is removed. Output that cannot be written is lost; a record on stderr tells how much,
 * once writing works again.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_SIZE_DEFAULT (UINT64_C(8) << 20)
#define LOG_SIZE_MIN     (UINT64_C(64) << 10)
#define LOG_FILES        2
#define LOG_FILES_MAX    16

struct log_limit {
	/* bytes of each file, and number of files with the current one */
	uint64_t size;
	unsigned int files;
};

struct log {
	char path[PATH_MAX];
	struct log_limit limit;
	/* -1: could not be opened; opening is tried again with the next output */
	int fd;
	/* bytes of the current file */
	uint64_t size;
	/* bytes of output that were not written, and the errno of the last failure */
	uint64_t lost;
	int why;
};

/* Writes the path of a container's log in the directory of its VM, whose programs' logs have names
 * without a prefix: console.log, passt.log. */
void log_path(const char *dir, const char *container, char *out, size_t size);

/* Begins a log, or continues that of an earlier run. Never fails. */
void log_open(struct log *l, const char *path, const struct log_limit *limit);
void log_close(struct log *l);

/* Appends output of a process. Never fails. */
void log_write(struct log *l, bool from_stderr, const void *data, size_t n);

/* Writes the name of file `i` of a log: the current one is 0, the oldest has the highest number. */
void log_file(const char *path, unsigned int i, char *out, size_t size);

/* A record of a log. */
struct log_record {
	bool from_stderr;
	/* the text does not end with its line */
	bool is_part;
	const char *time, *text;
	size_t time_len, text_len;
};

/* Reads a record from a line, without its newline. A line of another form is a text on stdout
 * without a time. */
void log_parse(struct log_record *out, const char *line, size_t n);

/* "2026-11-30T16:00:00.000000000Z" */
#define LOG_TIME_LEN 30

/* Writes a time as a record has it, which sorts as text. */
void log_time(int64_t seconds, long nanoseconds, char out[static LOG_TIME_LEN + 1]);
