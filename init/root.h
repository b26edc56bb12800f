/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the root file system one that containers can pivot_root(2) away from. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

/* The kernel's first file system (an unpacked initramfs) has no parent mount, and pivot_root refuses to leave
 * it. If / may be that one, a bind mount of / is moved over / and becomes our root; *moved tells. In any
 * case all mounts are made private. Call it before anything is mounted below /. 0, or -1 with err: the
 * root is as it was. */
int root_prepare(bool *moved, struct error *err);
