/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that could not become its program leaves: a line on its stderr, for the container's user, and a record
 * for the agent's log, through a pipe that is closed by a successful execve(2).
 */
#pragma once

#include <stdint.h>

#include "lib/exec_error.h"

struct filter;

/* One message in the pipe, written at once. The process is the container's by then: trust nothing in it. */
struct exec_report {
	int32_t errnum;
	char path[EXEC_ERROR_MAX], reason[EXEC_ERROR_MAX];
};

/* Reports that execve(2) of `path` failed with errnum, to stderr and to the pipe `fd` (-1: none), and returns the exit
 * code. The filter that is in force (NULL: none) may kill whoever makes a call: then less is reported. May block. */
int exec_report_failure(int fd, const char *path, int errnum, const struct filter *filter);

/* Reports the same for a reason that is known. No filter is in force. */
void exec_report_reason(int fd, const char *path, const char *reason, int errnum);
