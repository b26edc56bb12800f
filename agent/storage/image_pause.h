/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a pod's sandbox container, from the bundle in the guest's image. Worker only: may
 * block. */
#pragma once

#include "agent/storage/driver.h"
#include "lib/error.h"

struct worker;

/* Mounts a writable layer in memory over the root of the pause bundle. FAILED_PRECONDITION without
 * one in the guest's image. */
int image_pause_mount(struct worker *w, const struct storage_mount *m, struct error *err);
