/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container has to give memory back when the pods have reached memory.high. The kernel, once it has to kill, takes
 * the largest process below `pods`, which is seldom one of a fork bomb: a limit of the largest cgroup makes sure that
 * its own processes are chosen. Worker only: writing a limit waits until memory was taken back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* What is done about a cgroup. */
struct pressure_choice {
	size_t index;   /* of the path */
	uint64_t limit; /* bytes for memory.max, less than it uses */
	uint64_t own;   /* what memory.max is, UINT64_MAX: none */
};

/* Chooses one of n cgroups by path. One without a limit of its own is preferred, if it is large. 1 and *out; 0: memory
 * that can be taken back is enough, or nobody is large; -1 and errno: the cgroup `pods` cannot be read. */
int pressure_choose(int root, const char *const *paths, size_t n, struct pressure_choice *out);

/* Writes memory.max; UINT64_MAX: none. 0, or -1 and errno. */
int pressure_set_limit(int root, const char *path, uint64_t limit);

/* Has the cgroup that is held at `limit` calmed down, so that it may have its own limit again? *mine: the limit is still
 * the one that was written; if not, somebody else has set another one. */
bool pressure_is_over(int root, const char *path, uint64_t limit, bool *mine);

/* How often pods have reached memory.high or memory.max, from an fd of pods/memory.events.local. 0, or -1 and errno.
 * May be called on the loop. */
int pressure_events(int fd, uint64_t *n);
