/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The working directory of an image pull: a tmpfs of its own in RUN_DIR, which bounds the memory of
 * the image and ends with the last mount made of it. While it is attached, programs reach it by its
 * path. Worker only: may block.
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/storage/driver.h"
#include "lib/error.h"

struct image_work {
	struct worker *w;
	const struct storage_mount *m;
	/* The pull has to be completed by then (lib/deadline.h). */
	uint64_t deadline;
	/* The name of the directory in RUN_DIR. */
	char name[32];
	/* The same as an absolute path. */
	char path[PATH_MAX];
	/* The directory under the mount, and the root of the tmpfs (O_PATH). */
	int under, top;
	/* The mount's id; 0: not mounted. */
	int32_t id;
};

/* Makes the directory, with a tmpfs of the size that an option of tmpfs gives ("50%"). Journalled.
 * Returns 0, or -1 and err; the caller calls image_work_release() in both cases. */
int image_work_begin(struct image_work *k, struct worker *w, const struct storage_mount *m,
		     const char *size, struct error *err);

/* Makes a directory in it. Returns its fd (O_PATH), or -1 and err. */
int image_work_mkdir(const struct image_work *k, const char *name, mode_t mode, struct error *err);

/* Binds the directory at fd `source` to a new directory of it, read-only, so that programs find it
 * by a path that no container can change. */
int image_work_bind(const struct image_work *k, const char *name, int source, struct error *err);

/* Opens (O_PATH) a directory in it, without following links. Returns -1 and err on failure. */
int image_work_open(const struct image_work *k, const char *name, struct error *err);

/* Detaches the tmpfs, which exists on in the mounts made of it, and removes the directory. */
int image_work_end(struct image_work *k, struct error *err);

/* Closes the descriptors. The undo does the rest if the work has not ended. */
void image_work_release(struct image_work *k);
