/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by modtree.c (reading) and modtree_plan.c (dependencies). */
#pragma once

#include <stdbool.h>

#include "lib/modtree.h"

/* The kernel's limit MODULE_NAME_LEN is 56. */
#define MODULE_NAME_MAX 64

enum module_state {
	MODULE_UNSEEN,
	/* Its dependencies are being planned. */
	MODULE_OPEN,
	MODULE_PLANNED,
};

struct module {
	/* With '_' for '-'. */
	char name[MODULE_NAME_MAX];
	/* Below the directory of the tree. */
	const char *path;
	/* Paths separated by spaces, in the order of modules.dep. */
	const char *deps;
	/* May be NULL. */
	char *params;
	enum module_state state;
};

struct modtree {
	/* Its name, for messages. */
	char *dir;
	/* Its last component. */
	const char *release;
	/* Content of the files; dep is split into strings. */
	char *dep, *softdep, *alias, *builtin;
	size_t dep_len;
	/* Sorted by name. */
	struct module *all;
	size_t n;
	struct module **plan;
	size_t n_planned;
};

/* Stores the name that the kernel uses for "kernel/fs/9p/9p.ko.xz" or "virtio-rng". Returns false
 * if it is too long or empty. */
bool modtree_name(const char *path, size_t len, char out[MODULE_NAME_MAX]);

/* Fills tree->all from tree->dep, which is split into strings. Returns 0, or -1 and
 * INVALID_ARGUMENT with the line number. */
int modtree_parse(struct modtree *tree, struct error *err);

struct module *modtree_find(const struct modtree *tree, const char *name);
