/* SPDX-License-Identifier: Apache-2.0 */
/* A seccomp profile of the size and shape that container engines apply by default: everything refused but a few
 * hundred system calls, some of them by argument. */
#pragma once

#include "lib/arena.h"
#include "oci.pb-c.h"

/* In the arena; NULL if that is full. */
Grpc__LinuxSeccomp *profile_default(struct arena *a);
