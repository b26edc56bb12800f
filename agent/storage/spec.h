/* SPDX-License-Identifier: Apache-2.0 */
/* A storage request in plain terms, and owned copies of it: one allocation each. Pure, never
 * blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Says when fs_group is applied to a storage that already contains files. */
enum fs_group_policy {
	FS_GROUP_ALWAYS,
	FS_GROUP_ON_ROOT_MISMATCH,
};

/* A storage of a request. agent/rpc copies it from the message; the caller owns the strings until
 * the callback. */
struct storage_spec {
	const char *driver, *source, *fstype, *mount_point;
	const char *const *options;
	size_t n_options;
	const char *const *driver_options;
	size_t n_driver_options;
	bool has_fs_group;
	uint32_t fs_group_id;
	/* enum fs_group_policy, or any other value that a host sends */
	uint32_t fs_group_policy;
	bool shared;
};

/* Returns a deep copy in one block (free with free()); NULL if out of memory. mount_point has no
 * trailing slashes, and each option is a string of its own: hosts also send several joined by
 * commas. */
struct storage_spec *storage_spec_copy(const struct storage_spec *spec);

/* Returns whether driver, source and file system are the same, so that two containers may share the
 * mount. */
bool storage_spec_same(const struct storage_spec *a, const struct storage_spec *b);

/* Returns whether path is absolute, not "/" itself, and free of ".", ".." and empty components. */
bool storage_is_plain_path(const char *path);

/* Makes the checks common to all drivers, then the driver's own: INVALID_ARGUMENT. For a copy. */
int storage_spec_check(const struct storage_spec *spec, struct error *err);
