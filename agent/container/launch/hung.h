/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal of a container whose processes hang in the kernel: SIGKILL takes effect only when the
 * system call ends, and that of a share or a disk whose host is gone never does. A guest cannot
 * abort the requests of virtio-fs, 9p or a disk.
 *
 * A killed process does nothing more after its system call. It can therefore be left behind once
 * nothing more reaches a disk: the host may give the disk to another guest when the container is
 * removed. Its cgroup, its mount namespace and itself stay until the system call or the VM ends.
 * Worker only: may block.
 */
#pragma once

#include "agent/container/launch/params.h"
#include "lib/error.h"

struct worker;

/* Leaves the killed processes of the container behind, and reports their cgroup to the agent.
 * Returns 0; also if they have ended meanwhile and the cgroup is removed. Returns -1 and err if
 * they do not hang, or if data is on its way to a disk. */
int hung_leave(struct worker *w, const struct teardown *t, struct error *err);

/* Removes the cgroups of t->hung whose processes have ended. */
void hung_sweep(struct worker *w, const struct teardown *t);
