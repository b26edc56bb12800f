/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a container's cgroup belongs to. Worker only: may block. */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

/* Gives the cgroup that fd is open on, and the files in it that the kernel lets go with it, to
 * the user who runs the container's program, if the container has a cgroup namespace of its own
 * and may write to its cgroup mount: then it can make cgroups below. sys_fd is a sysfs root. 0,
 * or -1 and err. Source: config-linux.md "Cgroup ownership" of the OCI runtime specification,
 * cgroups(7) "Cgroups delegation". */
int cgroup_give(int fd, int sys_fd, const Grpc__Spec *spec, struct error *err);
