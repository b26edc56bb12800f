/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership of a container's cgroup. Source: config-linux.md "Cgroup ownership" of the OCI runtime
 * specification, cgroups(7) "Cgroups delegation". */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns whether the container has a writable cgroup mount. Pure. */
bool cgroup_is_mounted_writable(const Grpc__Spec *spec);

/* Changes the owner of the cgroup `fd` and of its files that the kernel lists as delegatable to
 * `uid`, a user of the guest, who can then make cgroups below it. Does nothing if that is root.
 * sys_fd is a sysfs root. Returns 0, or -1 and err. Worker only: may block. */
int cgroup_give(int fd, int sys_fd, uid_t uid, struct error *err);
