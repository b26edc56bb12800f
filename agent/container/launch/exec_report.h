/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of a failed execve(2): a line on the process's stderr, for the container's user, and a
 * record for the agent's log, through a pipe that a successful execve(2) closes.
 */
#pragma once

#include <stdint.h>

#include "lib/exec_error.h"

struct filter;

/* The message in the pipe, written with one call. It comes from a process of the container and
 * is not trusted. */
struct exec_report {
	int32_t errnum;
	char path[EXEC_ERROR_MAX], reason[EXEC_ERROR_MAX];
};

/* Reports that execve(2) of `path` failed with errnum, to stderr and to the pipe `fd` (-1:
 * none), and returns the exit code. If the loaded filter (NULL: none) would kill the process for
 * a system call, less is reported. May block. */
int exec_report_failure(int fd, const char *path, int errnum, const struct filter *filter);

/* Reports a failure with a known reason. No filter is loaded. */
void exec_report_reason(int fd, const char *path, const char *reason, int errnum);
