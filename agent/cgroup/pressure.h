/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of a container to limit when the pods have reached memory.high. Left alone, the OOM
 * killer would take the largest process below `pods`, which is seldom one of a fork bomb; with a
 * limit on the largest cgroup it takes a process of that cgroup. Worker side: writing a limit waits
 * until the kernel has reclaimed memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* A cgroup to choose from. */
struct pressure_cgroup {
	const char *path;
	/* Its memory.max is from an earlier choice, not from its host. */
	bool is_held;
};

/* The chosen cgroup and its limit. */
struct pressure_choice {
	/* index of the path */
	size_t index;
	/* new memory.max in bytes, less than the cgroup uses */
	uint64_t limit;
	/* current memory.max; UINT64_MAX: none */
	uint64_t own;
};

/* Chooses the largest of n cgroups; one without a limit from its host is preferred if it is large.
 * Returns 1 and sets *out, 0 if reclaiming memory is enough, no cgroup is large or one is still
 * above its limit, or -1 and errno if the cgroup `pods` cannot be read. */
int pressure_choose(int root, const struct pressure_cgroup *cgroups, size_t n,
		    struct pressure_choice *out);

/* Writes memory.max; UINT64_MAX: no limit. Returns 0, or -1 and errno. */
int pressure_set_limit(int root, const char *path, uint64_t limit);

/* Returns whether the cgroup that was limited to `limit` may have its own limit again: it uses less
 * than half of it, or *mine is false. *mine is set to whether memory.max is still `limit`, and not
 * one that was set later. */
bool pressure_is_over(int root, const char *path, uint64_t limit, bool *mine);

/* Reads from a descriptor of pods/memory.events.local how often the pods have reached memory.high
 * or memory.max. Returns 0, or -1 and errno. May be called on the loop. */
int pressure_events(int fd, uint64_t *n);
