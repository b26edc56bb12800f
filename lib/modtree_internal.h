/* SPDX-License-Identifier: Apache-2.0 */
/* What modtree.c (reading) and modtree_plan.c (dependencies) share. */
#pragma once

#include <stdbool.h>

#include "lib/modtree.h"

#define MODULE_NAME_MAX 64 /* the kernel's own limit is 56, MODULE_NAME_LEN */

enum module_state {
	MODULE_UNSEEN,
	MODULE_OPEN, /* its dependencies are being planned */
	MODULE_PLANNED,
};

struct module {
	char name[MODULE_NAME_MAX]; /* '_' for '-' */
	const char *path;           /* below the tree's directory */
	const char *deps;           /* paths, blanks between; in the order of modules.dep */
	char *params;               /* or NULL */
	enum module_state state;
};

struct modtree {
	char *dir;                             /* its name, for messages */
	const char *release;                   /* its last component */
	char *dep, *softdep, *alias, *builtin; /* the files; dep is cut into strings */
	size_t dep_len;
	struct module *all; /* sorted by name */
	size_t n;
	struct module **plan;
	size_t n_planned;
};

/* "kernel/fs/9p/9p.ko.xz" or "virtio-rng" -> the name as the kernel has it. False if it is too
 * long or empty. */
bool modtree_name(const char *path, size_t len, char out[MODULE_NAME_MAX]);

/* Fills tree->all from tree->dep, which it cuts into strings. 0, or -1 and INVALID_ARGUMENT naming the line. */
int modtree_parse(struct modtree *tree, struct error *err);

struct module *modtree_find(const struct modtree *tree, const char *name);
