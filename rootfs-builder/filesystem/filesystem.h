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
	/* Cannot be written once it is made. */
	bool read_only;
	/* The kernel can map its files with DAX. */
	bool has_dax;
	/* Root flags that Kata passes for it, without "ro"; or "". */
	const char *root_flags;
	/* Bytes that it has at an offset. */
	unsigned magic_offset, magic_len;
	uint8_t magic[4];
	/* Compressions that it can have, and that of an image without --compress. */
	unsigned packs;
	enum pack_format default_pack;
	/* Writes the image into the file `to`, and verifies it with the program that checks it. */
	int (*make)(struct build *build, const char *to, struct error *err);
};
extern const struct filesystem_kind filesystem_ext4, filesystem_erofs, filesystem_squashfs,
	filesystem_xfs;
/* Ends with NULL. */
extern const struct filesystem_kind *const filesystem_kinds[];

/* Returns n rounded up to a multiple of `unit`. */
static inline uint64_t
filesystem_round(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Returns the kind of this name, or NULL. */
const struct filesystem_kind *filesystem_find(const char *name);

/* Returns the compression of the file system in this build. */
enum pack_format filesystem_pack(const struct build *build);

/* Fails if the source of a file has changed since it was added: for file systems made by a program
 * that reads the sources itself. */
int filesystem_check_sources(const struct build *build, struct error *err);

/* Writes an entry's content to a new file in the work directory. Returns its path, which the caller
 * frees, or NULL. */
char *filesystem_content_file(const struct build *build, const struct image_entry *entry,
			      size_t number, struct error *err);

/* Resizes the finished file to spec->size, if there is one; fails if it is longer. */
int filesystem_resize(const struct build *build, const char *path, struct error *err);
