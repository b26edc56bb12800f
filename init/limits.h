/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the guest that follow from its memory, one row for each in limits.c. Init sets them at boot, the
 * agent whenever memory came or went. What the kernel command line sets by sysctl.NAME= stays as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* The numbers that the limits follow from. */
struct limits_size {
	uint64_t total; /* bytes of memory (MemTotal) */
	uint64_t
		base; /* bytes that the kernel, init, the agent and files in memory need, measured */
	uint64_t pid_max; /* kernel.pid_max */
};

/* Which rows are meant. */
enum {
	LIMITS_CGROUPS = 1, /* files of the cgroup `pods` */
	LIMITS_SYSCTLS = 2,
	LIMITS_ALL = LIMITS_CGROUPS | LIMITS_SYSCTLS,
};

/* Where the files are; -1: there are none. */
struct limits_place {
	int proc;            /* procfs */
	int cgroup;          /* root of the cgroup v2 hierarchy */
	const char *cmdline; /* the kernel's */
	bool only_raise;     /* another init has set limits, too: none becomes lower */
};

/* Reads the size of the guest from procfs and the cgroup `pods`. 0 or -1. */
int limits_measure(const struct limits_place *place, struct limits_size *size, struct error *err);

/* Returns the value of one row for a guest of that size; UINT64_MAX: there is no such row. `name` is a name of
 * sysctl(8), or a file below the cgroup root. */
uint64_t limits_value(const char *name, const struct limits_size *size);

/* Writes all rows of those kinds. Files that this kernel does not have are skipped. Returns how many could not be
 * written; err then holds the first reason. */
unsigned int limits_apply(const struct limits_place *place, const struct limits_size *size,
			  unsigned int kinds, struct error *err);

/* Sets the limits of the process pid (0: the caller) that follow from memory: RLIMIT_SIGPENDING. What it starts
 * inherits them. 0 or -1. */
int limits_apply_process(int pid, const struct limits_size *size, struct error *err);

/* Bytes of a tmpfs that is mounted without a size: half of memory. */
uint64_t limits_tmpfs_size(uint64_t total);
