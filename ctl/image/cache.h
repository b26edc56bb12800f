/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of images: each is unpacked once, to a read-only disk for guests, by tatami-rootfs. May
 * block.
 *
 *	images/sha256-<digest of the configuration>/root.img     the disk, with ext4
 *	                                            image.json   what tatami-rootfs --describe wrote
 *	images/sources/<hash>                      the image that an archive, layout or name is
 *	images/tmp-XXXXXX                          an image that is being unpacked
 *
 * A directory of an image appears whole, by a rename, and is locked (shared) by those who use it. A
 * file of a source is locked while its image is unpacked, so that others wait for it. What a killed
 * process has left is removed by the next one that unpacks.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define CACHE_DIGEST (sizeof("sha256:") + 64)

/* An image in the cache. */
struct cached {
	/* "sha256:..." */
	char digest[CACHE_DIGEST];
	/* its directory */
	char dir[PATH_MAX];
	/* lock, owned by the caller */
	int lock;
};

/* Lets downloads and unpacking print nothing, also on a terminal. */
void cache_be_quiet(void);

/* Returns the image of the archive or layout `path`, unpacking it unless that was done before.
 * `choice` is ":TAG", "@DIGEST" or "". Returns 0, or -1 and err. */
int cache_unpack(const char *path, const char *choice, const char *arch, struct cached *out,
		 struct error *err);

/* Returns the image of a name that was pulled, or the only one whose digest begins with it. Returns
 * -1 and err: NOT_FOUND if there is none. */
int cache_find(const char *name, const char *arch, struct cached *out, struct error *err);

/* Downloads the image of a reference of skopeo ("docker://alpine") and gives it a name. */
int cache_pull(const char *reference, const char *arch, struct cached *out, struct error *err);

/* Returns whether this is a reference for cache_pull(). */
bool cache_is_reference(const char *text);

/* Writes the name of what a reference or a short name is: "docker.io/library/alpine:latest". */
void cache_canonical(const char *text, char *out, size_t size);

/* An image in a list. */
struct cache_row {
	char digest[CACHE_DIGEST];
	/* names and paths, each but the last followed by a newline */
	char names[1024];
	/* space on the disk, in bytes */
	uint64_t size;
	/* time of unpacking, seconds since 1970 */
	int64_t created;
	bool in_use;
};

/* Calls fn for each image. Returns 0, or -1 and err. */
int cache_for_each(void (*fn)(const struct cache_row *row, void *data), void *data,
		   struct error *err);

/* Removes the image of a name, path or digest. FAILED_PRECONDITION if a VM uses it. */
int cache_remove(const char *name, struct error *err);

/* Removes all images that no VM uses, and what was known of sources. Returns their number, or -1
 * and err. */
int cache_prune(struct error *err);
