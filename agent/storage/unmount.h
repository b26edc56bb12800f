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
	const char *
		path; /* the mount point as it was called: the names of what was made, and for messages */
	struct storage_place place;
	int32_t id;        /* of the mount, 0: nothing is mounted */
	unsigned int made; /* components of path that mounts made, from the end */
	struct storage_file files[STORAGE_MADE_MAX]; /* which those are, the mount point first */
};

enum unmount_msg {
	/* The agent is to close its fds of the place: the process that closes the last one may have to wait for the file system,
	 * and that is to be the worker. Waits. */
	UNMOUNT_MSG_CLOSE = 1,
};

/* Unmounts, waiting a little while it is busy, then detaches; removes what mounts made and is empty. Sends UNMOUNT_MSG_CLOSE
 * at the end. Worker only: may block. */
int storage_unmount_work(struct worker *w, void *arg, struct error *err);
