/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reasons why a program could not be executed. execve(2) fails with the same ENOENT for a missing
 * file, a missing interpreter and a script with CR LF line ends. Reads the file; allocates nothing.
 */
#pragma once

#include <stddef.h>

/* Maximum length of the texts below, with NUL. */
#define EXEC_ERROR_MAX 512

/* Returns the exit code that shells use for an errno of execve(2): 127 if a file is missing, else
 * 126. */
int exec_error_code(int errnum);

/* Writes a more specific reason than errnum for a failed execve(2) of `path`, such as "it is a
 * directory", or an empty string. May block on the file system. */
void exec_error_explain(const char *path, int errnum, char out[EXEC_ERROR_MAX]);

/* Writes the complete message as one line to fd: "failed to execute PATH: REASON: ERRNO". */
void exec_error_write(int fd, const char *path, const char *reason, int errnum);
