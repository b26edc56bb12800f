/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounts a storage, in a worker. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/storage/mount_point.h"
#include "lib/error.h"

struct worker;

/* An unmount times out after this: its process is left behind until the VM ends. */
#define UNMOUNT_DEADLINE_MS 5000

struct unmount {
	const struct storage_driver *driver;
	const struct storage_mount *mount;
	/* A worker has begun driver->unmounted(). */
	bool is_released;
	/* The resolved mount point: provides the names of the created directories, and is used in
	 * messages. */
	const char *path;
	struct storage_place place;
	/* The mount's id, 0: nothing is mounted. */
	int32_t id;
	/* A copy of a volume is under the mount (mirror.h). */
	bool has_copy;
	/* This many trailing components of path were created for mounts. */
	unsigned int made;
	/* The created directories, the mount point first. */
	struct storage_file files[STORAGE_MADE_MAX];
};

enum unmount_msg {
	/* Asks the agent to close its fds of the place. The process that closes the last fd may
	 * have to wait for the file system, so this must be the worker. Waits for the reply. */
	UNMOUNT_MSG_CLOSE = 1,
	/* Sent before driver->unmounted(), so that it is called at most once. Waits for the
	 * reply. */
	UNMOUNT_MSG_RELEASING,
};

/* Unmounts; retries briefly while the mount is busy, then detaches it. Removes created directories
 * that are empty. Sends UNMOUNT_MSG_CLOSE at the end. Worker only: may block. */
int storage_unmount_work(struct worker *w, void *arg, struct error *err);
