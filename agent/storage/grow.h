/* SPDX-License-Identifier: Apache-2.0 */
/* The interface between resize.c and the file systems that can grow (grow_*.c). Worker only: may
 * block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/roots.h"
#include "lib/error.h"

/* A mounted file system that is to be grown. */
struct grow {
	const struct roots *roots;
	/* a file or directory on it, open for reading */
	int fd;
	/* The block device it is on. */
	dev_t device;
	/* Current size of the file system in bytes. */
	uint64_t size;
	/* Sizes are multiples of this. */
	uint64_t block;
	/* btrfs: id of the device; xfs: imaxpct */
	uint32_t id;
};

/* A file system: each grow_*.c defines one of these, listed in resize.c. */
struct grow_fs {
	const char *name;
	/* statfs(2) */
	long magic;
	/* Fills device, size, block. */
	int (*look)(struct grow *g, struct error *err);
	/* Grows to `to` bytes, a multiple of g->block. */
	int (*grow)(const struct grow *g, uint64_t to, struct error *err);
};

extern const struct grow_fs grow_ext4, grow_xfs, grow_btrfs;

/* Opens the node of a block device for reading. Returns an fd, or -1 and err. */
int grow_open_device(const struct roots *roots, dev_t device, struct error *err);
