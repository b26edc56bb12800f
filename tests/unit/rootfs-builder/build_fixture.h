/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for tests of the parts of tatami-rootfs: a build, and archives in memory. */
#pragma once

#include "fixture.h"
#include "rootfs-builder/build.h"

/* Returns a build for x86_64 that works in a directory. Ended by build_end(). */
struct build *build_begin(const char *dir);
void build_end(void);

/* A member of an archive. */
struct member {
	const char *path;
	/* Type and permissions. */
	uint32_t mode;
	/* Content, or target of a symlink; NULL: none. */
	const char *text;
	/* Target of a hard link, or NULL. */
	const char *link;
	int64_t uid, gid;
	/* An extended attribute, or NULL. */
	const char *xattr, *value;
};

/* Writes a pax archive with these members; the list ends with one without a path. `filter` is the
 * name of a compression of libarchive, or NULL. */
void put_tar(const char *path, const struct member *members, const char *filter);

/* Describes the entries of an image, one a line: "MODE UID:GID PATH[ -> TARGET][ = CONTENT]", each
 * with "[N]" for a hard link and "{NAME=VALUE}" for an attribute. Valid until the test ends. */
char *describe(struct image *image);
