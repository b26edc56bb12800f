/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points, and the messages about them from a storage's worker to the loop. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/storage/driver.h"

enum storage_msg {
	/* Sent when the mount point exists. Payload: struct storage_point up to the NUL of path. */
	STORAGE_MSG_POINT = 1,
	/* The last message of a mount. Payload: int32_t, the mount's id, 0 if the storage is
	 * only a directory. Fds (O_PATH): the directory or file under the mount, and its parent
	 * directory. */
	STORAGE_MSG_MOUNTED,
	/* Sent before STORAGE_MSG_MOUNTED: containers see a copy (mirror.h). Payload: uint64_t, the
	 * device number of the source. */
	STORAGE_MSG_COPIED,
};

/* Maximum number of directories created for one mount. */
#define STORAGE_MADE_MAX 48

/* Identifies a file; 0, 0: unknown. */
struct storage_file {
	uint64_t dev, ino;
};

/* The directories to remove along with the storage. */
struct storage_point {
	/* This many of the last components of path were created. */
	uint32_t made;
	/* The created directories, the mount point first. */
	struct storage_file files[STORAGE_MADE_MAX];
	/* The mount point without symbolic links, as of its creation: for comparing and for
	 * messages. */
	char path[PATH_MAX];
};

/* A mount point in the worker, before anything is mounted there. */
struct storage_place {
	/* O_PATH; the mount will cover it. */
	int fd;
	/* Its parent directory, O_PATH. */
	int parent;
};
#define STORAGE_PLACE_NONE ((struct storage_place){ -1, -1 })

/* Creates the spec's mount_point, a directory or (if `file`) an empty file, journalled, and sends
 * STORAGE_MSG_POINT. The place must be released in every case. Worker only: may block. */
int storage_place_make(struct worker *w, const struct storage_mount *m, bool file,
		       struct storage_place *place, struct error *err);
/* As storage_place_make(), for a directory that is not a mount point, and without a message: the
 * undo removes what it creates, the end of the storage does not. Worker only: may block. */
int storage_make_directory(struct worker *w, const struct roots *roots, const char *path,
			   struct storage_place *place, struct error *err);
void storage_place_release(struct storage_place *place);

/* Attaches the detached mount `tree` at the place, journalled. Worker only: may block. */
int storage_place_mount(struct worker *w, const struct storage_place *place, int tree,
			struct error *err);

/* Sends the place to the loop, which needs it to unmount `tree` (-1: nothing is mounted). This is
 * the last step of a mount. */
int storage_place_keep(struct worker *w, const struct storage_place *place, int tree,
		       struct error *err);
