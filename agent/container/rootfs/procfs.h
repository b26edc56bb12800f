/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a procfs for a pid namespace that others are in, made by somebody who is not. A copy of what the owner of the pid
 * namespace has at /proc will do if the spec has no options for it. Else an instance of its own is needed, which shows the pid
 * namespace of the process that opens its context (fsopen(2)). Whoever is in there may be able to trace that process, which
 * has CAP_SYS_ADMIN, but nothing to use it for:
 *
 *   worker --clone--> opener: in the container's cgroup and in the namespaces of the pid namespace's owner, without
 *                     files and memory of the guest, limited by a filter to the few calls that are left
 *                       `--clone--> with the same memory, in the pid namespace: fsopen, and ends
 *
 * The worker configures and mounts what comes back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/container/launch/params.h"

struct procfs {
	int pid_ns;  /* -1: nothing is needed: the process that mounts is in its pid namespace */
	int *copies; /* detached mounts */
	size_t n_copies;
	int *contexts;
	size_t n;
};

#define PROCFS_NONE ((struct procfs){ .pid_ns = -1 })

/* Gets what the mounts of a procfs in the spec need. The opener begins in cgroup_fd (-1: where the worker is). Release *out in
 * both cases. 0, or -1 and err. Worker only: may block. */
int procfs_open(const struct launch *l, int pid_ns, int cgroup_fd, struct procfs *out,
		struct error *err);

/* Makes a detached mount with the options of the spec, of the next copy or context. What lies at the other end of a context
 * that a stranger has exchanged is refused. Returns the fd, or -1 and err. Worker only: may block. */
int procfs_mount(struct procfs *procfs, const Grpc__Mount *spec, const char *label, uint64_t attrs,
		 struct error *err);

void procfs_release(struct procfs *procfs);
