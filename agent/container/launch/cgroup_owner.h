/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership of a container's cgroup. Worker only: may block. */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

/* Changes the owner of the cgroup `fd` and of its files that the kernel lists as delegatable to
 * the user of the container's program, which can then make cgroups below it. Does nothing unless
 * the container has its own cgroup namespace and a writable cgroup mount. sys_fd is a sysfs
 * root. Returns 0, or -1 and err. Source: config-linux.md "Cgroup ownership" of the OCI runtime
 * specification, cgroups(7) "Cgroups delegation". */
int cgroup_give(int fd, int sys_fd, const Grpc__Spec *spec, struct error *err);
