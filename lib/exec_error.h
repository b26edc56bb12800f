/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a program could not be executed. execve(2) says the same ENOENT for a missing file, for a missing interpreter and
 * for a script with the line ends of another system. Reads the file that failed; allocates nothing.
 */
#pragma once

#include <stddef.h>

/* The length of everything below, with its NUL. */
#define EXEC_ERROR_MAX 512

/* Returns the exit code for an errno of execve(2), as shells have it: 127 if something is missing, else 126. */
int exec_error_code(int errnum);

/* Writes the reason why execve(2) of `path` failed with errnum, beyond what the errno says: "it is a directory". Empty
 * if there is none. May block as the file's file system does. */
void exec_error_explain(const char *path, int errnum, char out[EXEC_ERROR_MAX]);

/* Writes the whole message as one line to fd: "failed to execute PATH: REASON: ERRNO". */
void exec_error_write(int fd, const char *path, const char *reason, int errnum);
