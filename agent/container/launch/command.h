/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, environment and program of a process. Runs in the new process. */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns an allocated, NULL-terminated list of the spec's arguments; the strings belong to the
 * spec. Returns NULL and err on failure. */
char **command_arguments(const Grpc__Process *process, struct error *err);

/* Returns the environment of a process as an allocated, NULL-terminated list: the last entry of
 * each name, in order, followed by HOME=user_home() if HOME is missing or empty. The strings
 * belong to the spec. Returns NULL and err on failure. */
char **command_environment(const Grpc__Process *process, int root_fd, uint32_t uid,
			   struct error *err);

/* Removes all entries except the last of each name, in place. An entry without "=", or with
 * nothing before it, is not a variable and is kept. Returns 0, or -1 and RESOURCE_EXHAUSTED. */
int command_last_wins(char **env, size_t *n, struct error *err);

/* Returns the value of the last variable with this name, or NULL. */
const char *command_variable(char *const *env, const char *name);

/* Writes the path for execve(2): `name` if it has a slash, otherwise the first executable file
 * in the environment's PATH. Returns 0, or -1 and "the file <x> was not found". */
int command_find(const char *name, char *const *env, char out[PATH_MAX], struct error *err);
