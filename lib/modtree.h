/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules: finds the files of modules and their dependencies in a module tree
 * (.../lib/modules/RELEASE, as made by depmod(8)), in load order. Reads files and may block.
 */
#pragma once

#include <stddef.h>

#include "lib/error.h"

struct modtree;

/* Reads modules.dep, and modules.softdep, modules.alias and modules.builtin if they exist, in the
 * directory dirfd. dir is its name, whose last component is the kernel release. */
struct modtree *modtree_open(int dirfd, const char *dir, struct error *err);
void modtree_free(struct modtree *tree);

const char *modtree_dir(const struct modtree *tree);
const char *modtree_release(const struct modtree *tree);

/* Adds a module, "NAME" or "NAME PARAMETERS", and its dependencies to the plan. NAME may be an
 * alias without wildcards ("fs-btrfs"); '-' and '_' are equivalent. Missing soft dependencies and
 * built-in modules are skipped. NOT_FOUND for an unknown name; FAILED_PRECONDITION for a
 * dependency cycle, or a dependency that is not listed; INVALID_ARGUMENT for conflicting
 * parameters. After an error other than NOT_FOUND the plan is invalid. */
int modtree_want(struct modtree *tree, const char *spec, struct error *err);

/* Returns the name, as used by the kernel, of the module with this name or alias; NULL if there is
 * none, or it is built in. */
const char *modtree_resolve(const struct modtree *tree, const char *name);

/* The plan, in load order: path below the directory of the tree, name as used by the kernel, and
 * parameters ("" for none). The first two return NULL past the end. */
const char *modtree_planned(const struct modtree *tree, size_t i);
const char *modtree_planned_name(const struct modtree *tree, size_t i);
const char *modtree_planned_params(const struct modtree *tree, size_t i);

/* Returns the length of the suffix ".ko", with that of a compression, of a path; 0 if there is
 * none. */
size_t modtree_suffix(const char *path, size_t len);

/* Returns the flags of finit_module(2) for a file, which depend on its suffix. */
int modtree_flags(const char *path);
