/* SPDX-License-Identifier: Apache-2.0 */
/* Preparation of the root file system for pivot_root(2). */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

/* Replaces the root by a bind mount of itself if it may be the initramfs, which has no parent
 * mount, so that pivot_root(2) fails there. Sets *moved in that case. Always makes all mounts
 * private. Must be called before any mount below /. Returns 0, or -1 and err with the root
 * unchanged. */
int root_prepare(bool *moved, struct error *err);
