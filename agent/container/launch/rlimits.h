/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits of a process (getrlimit(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Parses "RLIMIT_NOFILE" to RLIMIT_NOFILE. Returns false for an unknown name. Pure. */
bool rlimit_parse(const char *name, int *out);

/* Checks that types are known and unique, and soft limits not above hard ones. Returns 0, or -1
 * and INVALID_ARGUMENT. Pure. */
int rlimits_validate(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);

/* Resets the caller's soft limit of open files to the kernel's default if the list does not set
 * one. The agent's own limit is raised, which is a problem for programs that close every
 * possible descriptor or use select(2). The hard limit does not change. Returns 0, or -1 and
 * err. */
int rlimits_reset_files(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);

/* Sets the limits of process `pid` (0: the caller). Returns 0, or -1 and err. */
int rlimits_apply(pid_t pid, Grpc__POSIXRlimit *const *limits, size_t n, struct error *err);
