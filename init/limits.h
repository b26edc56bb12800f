/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the guest that depend on its memory, one row each in limits.c. Init sets them at
 * boot, and the agent whenever memory is added or removed. Values that the kernel command line sets
 * by sysctl.NAME= are kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* The values from which the limits are computed. */
struct limits_size {
	/* Bytes of memory (MemTotal). */
	uint64_t total;
	/* Measured need of the kernel, init, the agent and files in memory, in bytes. */
	uint64_t base;
	/* kernel.pid_max. */
	uint64_t pid_max;
};

/* Kinds of rows. */
enum {
	/* Files of the cgroup `pods`. */
	LIMITS_CGROUPS = 1,
	LIMITS_SYSCTLS = 2,
	LIMITS_ALL = LIMITS_CGROUPS | LIMITS_SYSCTLS,
};

/* Directories of the files; -1 for none. */
struct limits_place {
	/* procfs. */
	int proc;
	/* Root of the cgroup v2 hierarchy. */
	int cgroup;
	/* The kernel command line. */
	const char *cmdline;
	/* Never lower a limit, since another init may have set it. */
	bool only_raise;
};

/* Reads the size of the guest from procfs and the cgroup `pods`. Returns 0 or -1. */
int limits_measure(const struct limits_place *place, struct limits_size *size, struct error *err);

/* Returns the value of a row for a guest of that size, or UINT64_MAX if there is no such row.
 * `name` is that of a sysctl, or of a file below the cgroup root. */
uint64_t limits_value(const char *name, const struct limits_size *size);

/* Writes all rows of those kinds, except files that this kernel does not have. Returns the number
 * of failures; err is the first one. */
unsigned int limits_apply(const struct limits_place *place, const struct limits_size *size,
			  unsigned int kinds, struct error *err);

/* Sets the limits of process pid (0: the caller) that depend on memory: RLIMIT_SIGPENDING. Its
 * children inherit them. Returns 0 or -1. */
int limits_apply_process(int pid, const struct limits_size *size, struct error *err);

/* Returns the bytes of a tmpfs that is mounted without a size: half of memory. */
uint64_t limits_tmpfs_size(uint64_t total);
