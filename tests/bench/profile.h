/* SPDX-License-Identifier: Apache-2.0 */
/* A seccomp profile of the size and shape of container engines' defaults: everything refused
 * except a few hundred system calls, some depending on arguments. */
#pragma once

#include "lib/arena.h"
#include "oci.pb-c.h"

/* Returns the profile in the arena, or NULL if out of memory. */
Grpc__LinuxSeccomp *profile_default(struct arena *a);
