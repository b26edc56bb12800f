/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places of a disk image's parts, and the sectors that describe them. Without a DAX header:
 *
 *   0        MBR or GPT                1 MiB    partition 1: the file system
 *                                      then     partition 2: the hash tree of dm-verity, if any
 *
 * With a DAX header, of which a guest sees all from 2 MiB on as the NVDIMM's block device:
 *
 *   0        MBR for a guest that has the image as an ordinary disk
 *   4 KiB    the superblock of the NVDIMM's namespace
 *   2 MiB    MBR or GPT for the NVDIMM                             3 MiB    partition 1 ...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

#define DISK_SECTOR        512
#define DISK_PARTS_MAX     2
#define DISK_DAX_HEADER    4096
#define DISK_DAX_OFFSET    ((uint64_t)2 << 20)
#define DISK_DAX_HEADER_AT ((uint64_t)4096)

enum disk_table {
	DISK_TABLE_NONE,
	DISK_TABLE_MBR,
	DISK_TABLE_GPT,
};

/* In bytes, from the start of the image. */
struct disk_part {
	uint64_t start, size;
};

struct disk_layout {
	enum disk_table table;
	/* Start of the table, to which its addresses are relative: 0 or DISK_DAX_OFFSET. */
	uint64_t base;
	struct disk_part parts[DISK_PARTS_MAX];
	unsigned n_parts;
	uint64_t size;
};

/* Parses "none", "mbr" or "gpt". Returns false for anything else. */
bool disk_table_parse(const char *name, enum disk_table *out);

/* Places a file system of this many bytes, and a hash tree unless `hash_size` is 0. The image is
 * rounded up to a multiple of `align`, a power of two of at least 4096. RESOURCE_EXHAUSTED if an
 * MBR cannot describe it. */
int disk_layout_plan(struct disk_layout *layout, enum disk_table table, bool dax, uint64_t fs_size,
		     uint64_t hash_size, uint64_t align, struct error *err);

/* Writes the MBR with this disk id at the address `at` of the image, relative to which its
 * partitions are given. */
void disk_mbr(const struct disk_layout *layout, uint64_t at, uint32_t id, uint8_t out[DISK_SECTOR]);

/* Writes the superblock by which the NVDIMM driver maps the data behind DISK_DAX_OFFSET with pages
 * of 2 MiB, and keeps their page structures in ordinary memory: that of a namespace in mode
 * fsdax. */
void disk_dax_header(uint8_t out[DISK_DAX_HEADER]);
