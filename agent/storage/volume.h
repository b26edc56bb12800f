/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on volumes that are mounted already, each a task of its own: how full one is, growing one,
 * resizing the pod's memory volumes, looking at mounts of the share again, swap. Called by
 * agent/rpc; knows no call. Loop side: never blocks.
 *
 * Each returns NULL and err if it cannot begin. done is called once, never from inside. Strings are
 * copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/task.h"
#include "agent/roots.h"
#include "agent/storage/storage.h"

struct device_watch;

/* What they work with. */
struct volume_parts {
	struct jobs *jobs;
	const struct roots *roots;
	struct device_watch *devices;
	struct storages *storages;
};

struct volume_usage {
	/* bytes; available: to anybody but root */
	uint64_t total, available, used;
	uint64_t inodes, inodes_available, inodes_used;
	bool is_abnormal;
	/* of its condition; never "" */
	char message[160];
};

/* Of the file system that `path` lies on. The task's result is a struct volume_usage. */
struct pending *volume_usage(const struct volume_parts *parts, const char *path, task_done_fn *done,
			     void *data, struct error *err);

/*
 * Grows the ext4, xfs or btrfs that `path` lies on, while it is used: to `size` bytes, for which
 * its device is waited for a little, or to all of its device (0). Never shrinks: INVALID_ARGUMENT.
 * OUT_OF_RANGE: the device is smaller. A raw block device has nothing to grow. No result.
 */
struct pending *volume_resize(const struct volume_parts *parts, const char *path, uint64_t size,
			      task_done_fn *done, void *data, struct error *err);

/* Looks at every mount below the shared directory, so that the host's file server learns which
 * are stale. No result. */
struct pending *volume_share_revalidate(const struct volume_parts *parts, task_done_fn *done,
					void *data, struct error *err);

typedef void volume_done_fn(const struct error *err, void *data);

/*
 * Storages of the driver "ephemeral": with the option "remount", the tmpfs at mount_point gets the
 * other options, and keeps those that are not named; without, it is mounted for the sandbox if it
 * is not yet. All are checked first; a remount that fails takes back those before it.
 */
struct pending *ephemeral_update(const struct volume_parts *parts, const struct storage_spec *specs,
				 size_t n, volume_done_fn *done, void *data, struct error *err);

/* Swaps to a block device ("/dev/<name>", a PCI path, either waited for) or a file (any other
 * absolute path) with a swap signature. One that is in use already is no failure. */
struct pending *swap_add(const struct volume_parts *parts, const char *location,
			 volume_done_fn *done, void *data, struct error *err);
