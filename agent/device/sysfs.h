/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of sysfs. Reads names only: never blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Receives the name of an entry. Returns whether to go on. */
typedef bool sysfs_entry_fn(const char *name, void *data);

/* Calls fn for each entry of a directory, given relative to sysfs, in no particular order. Returns
 * 0, or -1 and errno if the directory cannot be read. */
int sysfs_each(int sysfd, const char *dir, sysfs_entry_fn *fn, void *data);

/* Finds an entry whose name starts with prefix, and copies its name. */
bool sysfs_first(int sysfd, const char *dir, const char *prefix, char *name, size_t size);

/* Finds the disk of the virtio device in a directory (virtioN/block/<name>), and copies its
 * name. */
bool sysfs_virtio_disk(int sysfd, const char *dir, char *name, size_t size);
