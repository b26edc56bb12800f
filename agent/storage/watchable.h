/* SPDX-License-Identifier: Apache-2.0 */
/* watchable-bind, and the tmpfs under its mount points. */
#pragma once

#include "agent/storage/driver.h"

struct undo_kind;

extern const struct storage_driver storage_bind, storage_watchable, storage_watchable_tmpfs;

/* Returns the storage that must be mounted before `spec`; NULL if `spec` needs none. */
const struct storage_spec *storage_watchable_directory(const struct storage_spec *spec);

/* Removes the copy that is in the directory of the step's fd. */
extern const struct undo_kind undo_copy;

/* Opens the source of a volume as a private read-only clone of its mount. Worker only: may
 * block. */
int watchable_open_source(const struct roots *roots, const char *path, struct error *err);

/* Mounts a copy of the source, or the source itself if the copy does not fit. Worker only: may
 * block. */
int watchable_mount_copy(struct worker *w, const struct storage_mount *m, struct error *err);
