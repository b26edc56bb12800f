/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel parameters of a spec: only those that belong to a namespace of the container. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Is the key one that a container may set, in dotted or slashed form? Pure. */
bool sysctl_is_allowed(const char *key);

/* Writes them through proc_fd, a procfs root, as of the caller's namespaces. A key that the kernel lacks is
 * INVALID_ARGUMENT. */
int sysctl_apply(int proc_fd, const Grpc__Linux *linux, struct error *err);
