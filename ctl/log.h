/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a container: a file of lines "TIME STREAM F|P TEXT", the format of Kubernetes'
 * runtimes. TIME is RFC 3339 in UTC, STREAM stdout or stderr; P marks a part of a line that goes
 * on. Pure, except for the writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Appends output of a process to the log. Returns 0, or -1 and errno. */
int log_append(int fd, bool from_stderr, const void *data, size_t n);

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
