/* SPDX-License-Identifier: Apache-2.0 */
/* A request's storage in plain terms, and owned copies of it: one allocation each. Pure, never
 * blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* When fs_group is applied to the files of a storage that has some already. */
enum fs_group_policy {
	FS_GROUP_ALWAYS,
	FS_GROUP_ON_ROOT_MISMATCH,
};

/* A request's storage in plain terms (agent/rpc copies it from the message; strings owned by the
 * caller until the callback). */
struct storage_spec {
	const char *driver, *source, *fstype, *mount_point;
	const char *const *options;
	size_t n_options;
	const char *const *driver_options;
	size_t n_driver_options;
	bool has_fs_group;
	uint32_t fs_group_id;
	/* enum fs_group_policy, and what else a host sends */
	uint32_t fs_group_policy;
	bool shared;
};

/* A deep copy in one block (free with free()), mount_point without slashes at its end; NULL if
 * memory is out. */
struct storage_spec *storage_spec_copy(const struct storage_spec *spec);

/* Same driver, source and file system: may two containers share the mount? */
bool storage_spec_same(const struct storage_spec *a, const struct storage_spec *b);

/* The checks that every driver needs, then the driver's own. INVALID_ARGUMENT. */
int storage_spec_check(const struct storage_spec *spec, struct error *err);
