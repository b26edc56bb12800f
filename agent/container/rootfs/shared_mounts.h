/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of one container in another: CreateContainer's shared_mounts. Worker only: may block. */
#pragma once

#include <sys/types.h>

#include "agent/container/launch/params.h"

struct worker;

/* For each of l->shared: waits up to 10 s until something is mounted there in the source's mount namespace, and
 * mounts a copy of it, with all below, in that of the process `pid`, which is set up and waits. A source that does not
 * come is told and left out. Afterwards the worker is in its own
 * mount namespace again, or gone. */
int shared_mounts_apply(struct worker *w, const struct launch *l, pid_t pid, struct error *err);

/* Copies the procfs of the shared pid namespace from the container that owns that: 0 with n detached mounts, or -1 and
 * err. What that container may have put in its place is not taken for it. Like the above it enters a mount namespace and
 * comes back. */
int shared_procfs(const struct launch *l, int *trees, size_t n, struct error *err);
