/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The "newc" archive that the kernel unpacks as its initramfs, written from an image, or read from a
 * stream. Format: Documentation/driver-api/early-userspace/buffer-format.rst in the Linux tree.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image.h"
#include "rootfs-builder/pack.h"

/* Sorts the image and writes all of it with `mtime` (seconds since 1970) as the time of every
 * entry, numbered in order, and ends the archive; the packer is not finished. Each entry's crc
 * is set on the way. ABORTED if a source file changed since it was added. */
int cpio_write(struct image *image, uint32_t mtime, struct packer *packer, struct error *err);

/* One member as its header has it; path lives until the next one. */
struct cpio_member {
	const char *path;
	uint32_t ino, mode, uid, gid, nlink, mtime, dev_major, dev_minor;
	uint64_t size;
};

/* What cpio_read calls for each member and for its content, piece by piece. -1 ends the reading. */
struct cpio_visitor {
	int (*member)(const struct cpio_member *member, void *data, struct error *err);
	int (*content)(const uint8_t *bytes, size_t n, void *data, struct error *err); /* or NULL */
	void *data;
};

/* Reads archives until the stream's end (several may follow each other, zeros between them).
 * DATA_LOSS for anything that is not well formed. */
int cpio_read(struct unpacker *unpacker, const struct cpio_visitor *visitor, struct error *err);
