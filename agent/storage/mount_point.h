/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points, and what the worker of a storage tells the loop about them. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/storage/driver.h"

enum storage_msg {
	/* Once the mount point is there. Payload: struct storage_point up to the NUL of path. */
	STORAGE_MSG_POINT = 1,
	/* The last message of a mount. Payload: int32_t, the mount's id, 0 if the storage is
	 * only a directory. Fds (O_PATH): what lies under the mount, and the directory that
	 * holds it. */
	STORAGE_MSG_MOUNTED,
};

/* Directories that one mount makes at most. */
#define STORAGE_MADE_MAX 48

/* Which file something is; 0, 0: unknown. */
struct storage_file {
	uint64_t dev, ino;
};

/* Which directories are removed when the storage is. */
struct storage_point {
	/* So many of the last components of path did not exist before. */
	uint32_t made;
	/* Those, the mount point first. */
	struct storage_file files[STORAGE_MADE_MAX];
	/* The mount point without symlinks, as it was called when it was made: for comparing and
	 * for messages. */
	char path[PATH_MAX];
};

/* A mount point in the worker: nothing is mounted there yet. */
struct storage_place {
	/* O_PATH; what is mounted later lies on it */
	int fd;
	/* the directory that holds it, O_PATH */
	int parent;
};
#define STORAGE_PLACE_NONE ((struct storage_place){ -1, -1 })

/* Makes the spec's mount_point, a directory or (file) an empty file, journalled, and tells the
 * loop about it. Release the place in every case. Worker only: may block. */
int storage_place_make(struct worker *w, const struct storage_mount *m, bool file,
		       struct storage_place *place, struct error *err);
void storage_place_release(struct storage_place *place);

/* Attaches the detached mount `tree` at the place, journalled. Worker only: may block. */
int storage_place_mount(struct worker *w, const struct storage_place *place, int tree,
			struct error *err);

/* Hands the place to the loop, which needs it to unmount `tree` (-1: nothing is mounted): the
 * last step of a mount. */
int storage_place_keep(struct worker *w, const struct storage_place *place, int tree,
		       struct error *err);
