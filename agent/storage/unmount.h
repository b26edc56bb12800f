/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a storage's mount away, in a worker. */
#pragma once

#include <stdint.h>

#include "agent/storage/mount_point.h"
#include "lib/error.h"

struct worker;

/* After this an unmount is given up: its process is left to end with the VM. */
#define UNMOUNT_DEADLINE_MS 5000

struct unmount {
	/* the mount point as it was called: the names of what was made, and for messages */
	const char *path;
	struct storage_place place;
	/* of the mount, 0: nothing is mounted */
	int32_t id;
	/* components of path that mounts made, from the end */
	unsigned int made;
	/* which those are, the mount point first */
	struct storage_file files[STORAGE_MADE_MAX];
};

enum unmount_msg {
	/* The agent is to close its fds of the place: the process that closes the last one may
	 * have to wait for the file system, and that is to be the worker. Waits. */
	UNMOUNT_MSG_CLOSE = 1,
};

/* Unmounts, waiting a little while it is busy, then detaches; removes what mounts made and is
 * empty. Sends UNMOUNT_MSG_CLOSE at the end. Worker only: may block. */
int storage_unmount_work(struct worker *w, void *arg, struct error *err);
