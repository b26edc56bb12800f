/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel parameters of a spec. Only namespaced ones are supported. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns whether a container may set the key, in dotted or slashed form. Pure. */
bool sysctl_is_allowed(const char *key);

/* Writes the parameters of the caller's namespaces through the procfs root proc_fd. Returns 0,
 * or -1 and err: INVALID_ARGUMENT for a key that does not exist. */
int sysctl_apply(int proc_fd, const Grpc__Linux *linux, struct error *err);
