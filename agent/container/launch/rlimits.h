/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits of a process (getrlimit(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* "RLIMIT_NOFILE" -> RLIMIT_NOFILE; false if unknown. */
bool rlimit_parse(const char *name, int *out);

/* Known types, soft not above hard, none twice. Pure. */
int rlimits_validate(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);

/* Brings the caller's soft limit of open files back to the kernel's default if the list does not set one: the agent's
 * own is raised, and programs that close every possible file, or use select(2), mind. The hard limit stays. */
int rlimits_reset_files(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);

/* Sets them for pid (0: the caller). */
int rlimits_apply(pid_t pid, Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);
