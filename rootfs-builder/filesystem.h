/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems that the disk output can make, each a row of filesystem_kinds[].
 */
#pragma once

#include "rootfs-builder/build.h"

struct filesystem_kind {
	/* As in --filesystem NAME, and the type for mount(8). */
	const char *name;
	const char *help;
	/* Program and Debian package that make it. */
	const char *program, *package;
	/* Cannot be written once it is made. */
	bool read_only;
	/* Root flags that Kata passes for it, without "ro". */
	const char *root_flags;
	/* Writes the image into the file `to`, and verifies it with the program that checks it. */
	int (*make)(struct build *build, const char *to, struct error *err);
};
extern const struct filesystem_kind filesystem_ext4, filesystem_erofs, filesystem_squashfs,
	filesystem_xfs;
extern const struct filesystem_kind *const filesystem_kinds[];
