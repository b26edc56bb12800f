/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of one container in another (shared_mounts of CreateContainer). Worker only: may block. */
#pragma once

#include <sys/types.h>

#include "agent/container/launch/params.h"

struct worker;

/* For each entry of l->shared, waits up to 10 s for the mount in the source's mount namespace,
 * and mounts a clone of it and of the mounts below in the mount namespace of the waiting process
 * `pid`. A mount that does not appear is logged and skipped. Returns 0, or -1 and err. The
 * worker is then in its own mount namespace again; if it cannot return to it, it exits. */
int shared_mounts_apply(struct worker *w, const struct launch *l, pid_t pid, struct error *err);

/* Clones the procfs of the shared pid namespace n times from the container that owns the
 * namespace, after a check that it is one. Returns 0 and the detached mounts in trees[], which
 * the caller owns, or -1 and err. Enters a mount namespace and returns like
 * shared_mounts_apply(). */
int shared_procfs(const struct launch *l, int *trees, size_t n, struct error *err);
