/* SPDX-License-Identifier: Apache-2.0 */
/* Owned copies of struct storage_spec: one allocation each. Pure, never blocks. */
#pragma once

#include "agent/storage/storage.h"

/* A deep copy in one block (free with free()), mount_point without slashes at its end; NULL if memory is out. */
struct storage_spec *storage_spec_copy(const struct storage_spec *spec);

/* Same driver, source and file system: may two containers share the mount? */
bool storage_spec_same(const struct storage_spec *a, const struct storage_spec *b);

/* The checks that every driver needs, then the driver's own. INVALID_ARGUMENT. */
int storage_spec_check(const struct storage_spec *spec, struct error *err);
