/* SPDX-License-Identifier: Apache-2.0 */
/* The security context of a container, in the terms of the runtime specification. */
#pragma once

#include "agent.pb-c.h"
#include "ctl/pod/manifest.h"
#include "lib/arena.h"
#include "lib/error.h"

/* Makes the filters of system calls of all containers for a guest of this architecture (as in
 * uname(2)). Profiles of type Localhost are read from `dir`. May block. Returns 0, or -1 and err
 * (INVALID_ARGUMENT) with line and field of the profile. */
int security_read_profiles(struct manifest *m, const char *dir, const char *arch,
			   struct error *err);

/* Applies groups, capabilities and no_new_privileges to a process. Returns -1 if out of memory. */
int security_apply_process(const struct manifest *m, const struct manifest_container *c,
			   struct arena *a, Grpc__Process *process);
