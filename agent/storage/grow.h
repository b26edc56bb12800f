/* SPDX-License-Identifier: Apache-2.0 */
/* What resize.c and the file systems that can grow (grow_*.c) share. Worker only: everything may
 * block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/roots.h"
#include "lib/error.h"

/* A mounted file system that is to grow. */
struct grow {
	const struct roots *roots;
	/* a file or directory on it, open for reading */
	int fd;
	/* what it lies on */
	dev_t device;
	/* of the file system now, bytes */
	uint64_t size;
	/* its sizes are multiples of that */
	uint64_t block;
	/* btrfs: of the device; xfs: imaxpct */
	uint32_t id;
};

/* A file system: one file that ends in one of these, named in resize.c. */
struct grow_fs {
	const char *name;
	/* statfs(2) */
	long magic;
	/* Fills device, size, block. */
	int (*look)(struct grow *g, struct error *err);
	/* to: bytes, a multiple of g->block. */
	int (*grow)(const struct grow *g, uint64_t to, struct error *err);
};

extern const struct grow_fs grow_ext4, grow_xfs, grow_btrfs;

/* Opens the node of a block device for reading. */
int grow_open_device(const struct roots *roots, dev_t device, struct error *err);
