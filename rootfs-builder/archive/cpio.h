/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The "newc" archive that the kernel unpacks as its initramfs, written from an image, or read from
 * a stream. Format: Documentation/driver-api/early-userspace/buffer-format.rst in the Linux tree.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/archive/pack.h"
#include "rootfs-builder/image/image.h"

/* Sorts the image and writes a complete archive of it. Entries are numbered in order, and all
 * have the time `mtime` (seconds since 1970). Hard links to a file have the number of the first of
 * them, and the last has the content. Sets the crc of each entry: that of the member's content. The
 * caller finishes the packer. ABORTED if a source file has changed since it was added. */
int cpio_write(struct image *image, uint32_t mtime, struct packer *packer, struct error *err);

/* A member as described by its header. `path` is valid until the next member is read. */
struct cpio_member {
	const char *path;
	uint32_t ino, mode, uid, gid, nlink, mtime, dev_major, dev_minor;
	uint64_t size;
};

/* Returns the member that cpio_write() writes for the entry with this index of a sorted image. */
struct cpio_member cpio_describe(const struct image *image, size_t i,
				 const struct image_links *links, uint32_t mtime);

/* Describes the attributes of an image, which the format cannot hold. Returns false if there are
 * none. */
bool cpio_describe_losses(const struct image *image, char *out, size_t size);

/* Callbacks of cpio_read(). Reading stops when one returns -1. */
struct cpio_visitor {
	/* Called for each member. */
	int (*member)(const struct cpio_member *member, void *data, struct error *err);
	/* Called for each part of its content. May be NULL. */
	int (*content)(const uint8_t *bytes, size_t n, void *data, struct error *err);
	void *data;
};

/* Reads archives until the end of the stream: several may follow one another, with zeros between
 * them. DATA_LOSS if one is malformed. */
int cpio_read(struct unpacker *unpacker, const struct cpio_visitor *visitor, struct error *err);
