/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules of an image: copies the planned modules (lib/modtree.h), and writes the list that
 * init loads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/modtree.h"
#include "rootfs-builder/image/image.h"

/* The list that init loads: one absolute path a line in load order, parameters after a space. */
#define MODULES_LIST_PATH "/etc/tatami/modules"
/* Longest line, in bytes, that init accepts (init/modules.c). */
#define MODULES_LINE_MAX 1023

/* A module of the default set. */
struct modules_default {
	const char *name;
	/* If not set, a kernel without it is an error. */
	bool optional;
	const char *why;
};
/* Ends with a NULL name. */
extern const struct modules_default modules_defaults[];

/* Opens the module tree in a directory of this machine: see modtree_open(). */
struct modtree *modules_open(const char *dir, struct error *err);

/* Adds the planned modules as /lib/modules/RELEASE/... and the list as MODULES_LIST_PATH.
 * Compressed modules (.xz, .zst, .gz) are decompressed unless as_is is set, since the kernel may
 * lack CONFIG_MODULE_DECOMPRESS and the archive is compressed as a whole. For `machine` see
 * elf_check(). */
int modules_add(const struct modtree *tree, struct image *image, bool as_is, uint16_t machine,
		struct error *err);
