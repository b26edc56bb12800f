/* SPDX-License-Identifier: Apache-2.0 */
/* The environment and the program of a process. In the new process. */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* The spec's arguments, NULL-terminated; allocated, the strings are the spec's. NULL and err. */
char **command_arguments(const Grpc__Process *process, struct error *err);

/* Makes the environment of a process: of entries with the same name the last one, in the order of those, and at the end
 * HOME=user_home() if there is none or it is empty. NULL-terminated, allocated; the strings are the spec's. NULL and err. */
char **command_environment(const Grpc__Process *process, int root_fd, uint32_t uid,
			   struct error *err);

/* Drops all entries but the last of each name, in place. An entry without "=", or with nothing before it, is no variable and
 * stays. 0, or -1 without memory. */
int command_last_wins(char **env, size_t *n, struct error *err);

/* Returns the value of a variable, of several with that name the last, or NULL. */
const char *command_variable(char *const *env, const char *name);

/* What execve(2) is to be given for args[0]: as it is if it has a slash, else the first executable file in the
 * environment's PATH. "the file <x> was not found". */
int command_find(const char *name, char *const *env, char out[PATH_MAX], struct error *err);
