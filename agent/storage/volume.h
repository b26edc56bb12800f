/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on mounted volumes, each a job of its own: usage, growing, resizing the pod's memory
 * volumes, revalidating mounts of the share, swap. Called by agent/rpc; independent of its
 * messages. Loop side: never blocks.
 *
 * Each returns NULL and err if it cannot begin. done is called once, never from inside. Strings are
 * copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/roots.h"
#include "agent/storage/storage.h"
#include "lib/pending.h"

struct device_watch;
struct jobs;

/* The modules that the operations use. */
struct volume_parts {
	struct jobs *jobs;
	const struct roots *roots;
	struct device_watch *devices;
	struct storages *storages;
};

struct volume_usage {
	/* Bytes; available: to users other than root. */
	uint64_t total, available, used;
	uint64_t inodes, inodes_available, inodes_used;
	bool is_abnormal;
	/* Describes the condition; never "". */
	char message[160];
};

typedef void volume_done_fn(const struct error *err, void *data);
/* usage: valid during the call; NULL unless err->code is ERROR_OK. */
typedef void volume_usage_fn(const struct error *err, const struct volume_usage *usage, void *data);

/* Reads the usage of the file system that contains `path`. */
struct pending *volume_usage(const struct volume_parts *parts, const char *path,
			     volume_usage_fn *done, void *data, struct error *err);

/*
 * Grows the mounted ext4, xfs or btrfs that contains `path` to `size` bytes, after waiting briefly
 * for its device to have that size; 0: to the size of the device. Never shrinks: INVALID_ARGUMENT.
 * OUT_OF_RANGE: the device is smaller. Does nothing for a raw block device.
 */
struct pending *volume_resize(const struct volume_parts *parts, const char *path, uint64_t size,
			      volume_done_fn *done, void *data, struct error *err);

/* Looks up every mount point below the shared directory, so that the host's file server learns
 * which are stale. */
struct pending *volume_share_revalidate(const struct volume_parts *parts, volume_done_fn *done,
					void *data, struct error *err);

/*
 * Updates storages of the driver "ephemeral". With the option "remount", the tmpfs at mount_point
 * gets the other options and keeps those that are not named. Without it, the storage is mounted for
 * the sandbox unless it is already. All specs are checked first; if a remount fails, the earlier
 * ones are reverted.
 */
struct pending *ephemeral_update(const struct volume_parts *parts, const struct storage_spec *specs,
				 size_t n, volume_done_fn *done, void *data, struct error *err);

/* Adds swap space on a block device ("/dev/<name>" or a PCI path, waits for either) or in a file
 * (any other absolute path) that has a swap signature. Succeeds if it is in use already. */
struct pending *swap_add(const struct volume_parts *parts, const char *location,
			 volume_done_fn *done, void *data, struct error *err);
