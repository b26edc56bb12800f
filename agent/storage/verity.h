/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dm-verity: a read-only device of the kernel's device mapper on another device, whose every block
 * is checked against a tree of hashes before it is used. The host gives the hash of the tree's root
 * in the options of a storage (X-kata.dmverity.*). Source: the kernel's
 * Documentation/admin-guide/device-mapper/verity.rst.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "agent/storage/spec.h"
#include "lib/error.h"

struct undo_kind;
struct worker;

/* Size of a name like "/dev/dm-0". */
#define VERITY_NODE_MAX 32

/* The options of one storage; the strings are the spec's. */
struct verity {
	/* Hexadecimal digits; salt is "-" if there is none. */
	const char *root_hash, *salt;
	const char *algorithm;
	/* Bytes of the data, after which the tree begins. */
	uint64_t hash_offset;
	/* Bytes. */
	uint32_t data_block, hash_block;
	/* The version of the format: 0 (Chromium OS) or 1. */
	uint32_t type;
	/* The tree is not preceded by a superblock of veritysetup(8). */
	bool no_superblock;
};

/* Removes the mapping `name`; `fd` is /dev/mapper/control. */
extern const struct undo_kind undo_verity;

/* Reads the options. Returns 1 if the storage asks for verity, 0 if not, -1 and err
 * (INVALID_ARGUMENT) if they are invalid. Pure. */
int verity_parse(const struct storage_spec *spec, struct verity *v, struct error *err);

/* Maps the device `node` ("/dev/...") for the mount of `spec`, announced first. Stores the path of
 * the new device. Blocks are only checked when they are read. Worker only: may block. */
int verity_open(struct worker *w, const struct roots *roots, const struct storage_spec *spec,
		const struct verity *v, const char *node, char out[static VERITY_NODE_MAX],
		struct error *err);

/* Removes the device of verity_open() once nothing uses it any longer: the kernel waits for that.
 * Worker only: may block. */
int verity_close(const struct roots *roots, const struct storage_spec *spec, struct error *err);
