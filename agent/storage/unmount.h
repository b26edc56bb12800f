/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a storage's mount away, in a worker. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct worker;

/* After this an unmount is given up: its process is left to end with the VM. */
#define UNMOUNT_DEADLINE_MS 5000

struct unmount {
	const char *path;  /* without symlinks */
	bool mounted;      /* something is mounted there */
	unsigned int made; /* components of path that mounts made, from the end */
};

/* Unmounts, waiting a little while it is busy, then detaches; removes what the mount made and is empty. Worker
 * only: may block. */
int storage_unmount_work(struct worker *w, void *arg, struct error *err);
