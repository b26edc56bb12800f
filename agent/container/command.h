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

/* The environment: the spec's entries as they are, and HOME if it lacks one: user_home(). NULL-terminated, allocated;
 * the strings are the spec's. NULL and err. */
char **command_environment(const Grpc__Process *process, int root_fd, uint32_t uid,
			   struct error *err);

/* The value of a variable, or NULL. */
const char *command_variable(char *const *env, const char *name);

/* What execve(2) is to be given for args[0]: as it is if it has a slash, else the first executable file in the
 * environment's PATH. "the file <x> was not found". */
int command_find(const char *name, char *const *env, char out[PATH_MAX], struct error *err);
