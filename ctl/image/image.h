/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a container as users name it: a directory, an image of a file system, an OCI layout,
 * an archive of one or of `docker save`, or an image in the cache. May block.
 */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "ctl/image/account.h"
#include "ctl/image/cache.h"
#include "ctl/image/config.h"
#include "lib/arena.h"
#include "lib/error.h"

struct image {
	/* the directory, or the disk */
	char path[PATH_MAX];
	/* file system of the disk, NULL: a directory */
	const char *fstype;
	/* the image has a configuration: path is a disk of the cache, which nobody may write */
	bool has_config;
	struct image_config config;
	/* for `config` and the caller's lists */
	struct arena arena;
	json_t *json;
	/* lock of the image in the cache, or -1 */
	int lock;
};

/* Finds a root, unpacking or downloading it if that is needed. `arch` is the guest's architecture.
 * Returns 0, or -1 and err: NOT_FOUND or INVALID_ARGUMENT. The caller releases *out in both
 * cases. */
int image_open(struct image *out, const char *name, const char *arch, struct error *err);

/* Conditions for downloading an image, those of Kubernetes' imagePullPolicy. */
enum image_pull {
	IMAGE_PULL_IF_NOT_PRESENT,
	IMAGE_PULL_ALWAYS,
	IMAGE_PULL_NEVER,
};

/* Opens an image as image_open() does, but by its name in a registry ("nginx:1.25") only. */
int image_open_named(struct image *out, const char *name, const char *arch, enum image_pull pull,
		     struct error *err);

/* Finds a user in the image (account_find()). Those of a disk of the user have numbers only. */
int image_find_user(const struct image *image, const char *text, struct account *out,
		    struct error *err);

/* As image_find_user(), in the root that image_open() has found before: `path` is that of the
 * image. */
int image_find_user_at(const char *path, const char *text, struct account *out, struct error *err);

/* Releases what the image has allocated, and its lock. All zero is allowed. */
void image_close(struct image *image);
