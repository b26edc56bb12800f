/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of a procfs for a shared pid namespace, made by a process outside of it. A clone of the
 * owner's /proc is used if the spec has no file system options for it. Otherwise a new instance is
 * needed, which shows the pid namespace of the process that opens its context (fsopen(2)). The
 * other processes of the namespace may be able to trace that process; it has CAP_SYS_ADMIN, but no
 * access to anything that the capability would apply to:
 *
 *   worker --clone--> opener: in the container's cgroup and in the namespaces of the pid
 *                     namespace's owner, without descriptors and memory of the guest, limited by
 *                     a seccomp filter to the few system calls that it needs
 *      `--clone--> child with the same memory, in the pid namespace: calls fsopen and exits
 *
 * The worker configures the contexts and mounts them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/container/launch/params.h"

struct procfs {
	/* -1: not used, because the mounting process is in the pid namespace. */
	int pid_ns;
	/* Detached mounts. */
	int *copies;
	size_t n_copies;
	int *contexts;
	size_t n;
};

#define PROCFS_NONE ((struct procfs){ .pid_ns = -1 })

/* Opens the copies and contexts for the spec's mounts of a procfs. The opener starts in the
 * cgroup cgroup_fd (-1: the worker's). Returns 0, or -1 and err; the caller calls
 * procfs_release() in both cases. Worker only: may block. */
int procfs_open(const struct launch *l, int pid_ns, int cgroup_fd, struct procfs *out,
		struct error *err);

/* Makes a detached mount with the spec's options from the next copy or context. A context that
 * was replaced by a tracer is refused. Returns the fd, which the caller owns, or -1 and err.
 * Worker only: may block. */
int procfs_mount(struct procfs *procfs, const Grpc__Mount *spec, const char *label, uint64_t attrs,
		 struct error *err);

/* Closes the remaining copies and contexts. */
void procfs_release(struct procfs *procfs);
