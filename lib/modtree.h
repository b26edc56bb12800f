/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules: which files a kernel's module tree (.../lib/modules/RELEASE, as depmod(8) left it) has for the wanted
 * names, with all that they need, in an order in which they load. May block: reads files.
 */
#pragma once

#include <stddef.h>

#include "lib/error.h"

struct modtree;

/* Reads modules.dep, and modules.softdep, modules.alias and modules.builtin where they exist, in the directory that dirfd is
 * open on. dir is its name, whose last component is the kernel's release. */
struct modtree *modtree_open(int dirfd, const char *dir, struct error *err);
void modtree_free(struct modtree *tree);

const char *modtree_dir(const struct modtree *tree);
const char *modtree_release(const struct modtree *tree);

/* Plans a module: "NAME" or "NAME PARAMETERS". '-' and '_' are the same. What it depends on comes
 * before it, softdeps where the tree has them. A name that is built into the kernel plans nothing.
 * NOT_FOUND for an unknown name; FAILED_PRECONDITION for a circle of dependencies, naming it, or one that is not listed;
 * INVALID_ARGUMENT for parameters that are given twice, differently. The plan is of no use after an
 * error other than NOT_FOUND. */
int modtree_want(struct modtree *tree, const char *spec, struct error *err);

/* The plan, in load order: paths below the tree's directory, names as the kernel has them, parameters ("" for none).
 * NULL past the end, but for the last. */
const char *modtree_planned(const struct modtree *tree, size_t i);
const char *modtree_planned_name(const struct modtree *tree, size_t i);
const char *modtree_planned_params(const struct modtree *tree, size_t i);

/* Bytes of ".ko" and what follows at the end of a path; 0 if there is none. */
size_t modtree_suffix(const char *path, size_t len);

/* The flags of finit_module(2) for a file: by its suffix, is it compressed? */
int modtree_flags(const char *path);
