/* SPDX-License-Identifier: Apache-2.0 */
/* The security context of a container, in the terms of the runtime specification. Pure. */
#pragma once

#include "agent.pb-c.h"
#include "ctl/pod/manifest.h"
#include "lib/arena.h"

/* Applies groups, capabilities and no_new_privileges to a process, which has the capabilities of
 * the default, or all. Returns -1 if out of memory. */
int security_apply_process(const struct manifest *m, const struct manifest_container *c,
			   struct arena *a, Grpc__Process *process);

/* Adds the filter of system calls. Returns -1 if out of memory. */
int security_apply_seccomp(const struct manifest_container *c, struct arena *a,
			   Grpc__Linux *linux_part);
