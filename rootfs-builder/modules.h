/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules of an image: those that are put into it, and the list that init loads. The plan is that of lib/modtree.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/modtree.h"
#include "rootfs-builder/image.h"

/* Where init finds the list: one absolute path a line, in load order, parameters after a blank. */
#define MODULES_LIST_PATH "/etc/tatami/modules"
#define MODULES_LINE_MAX  1023 /* bytes: init reads no longer ones (init/modules.c) */

/* A module of the default set. */
struct modules_default {
	const char *name;
	bool optional; /* may be missing in a kernel; the rest may not */
	const char *why;
};
extern const struct modules_default modules_defaults[]; /* ends with a NULL name */

/* The tree in a directory of this machine, by its name: see modtree_open(). */
struct modtree *modules_open(const char *dir, struct error *err);

/* Puts the planned modules at /lib/modules/RELEASE/... and the list at MODULES_LIST_PATH. Packed
 * modules (.xz, .zst, .gz) are unpacked, since the kernel may lack CONFIG_MODULE_DECOMPRESS and the
 * archive is packed as a whole anyway; with as_is they stay as they are. `machine` is that of
 * elf_check(). */
int modules_add(const struct modtree *tree, struct image *image, bool as_is, uint16_t machine,
		struct error *err);
