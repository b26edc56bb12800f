/* SPDX-License-Identifier: Apache-2.0 */
/* The tmpfs under the mount points of watchable-bind. */
#pragma once

#include "agent/storage/driver.h"

extern const struct storage_driver storage_bind, storage_watchable, storage_watchable_tmpfs;

/* Returns the storage that must be mounted before `spec`; NULL if `spec` needs none. */
const struct storage_spec *storage_watchable_directory(const struct storage_spec *spec);
