/* SPDX-License-Identifier: Apache-2.0 */
/* A fake run directory, and next to it a tree that no copy may ever touch (the canary). Only owners
 * need root. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/files/files_internal.h"

struct tree {
	char dir[64];
	/* dir/run, as roots.run */
	int run;
	/* /proc */
	int proc;
	/* dir/run/shared/containers */
	int shared;
	/* dir/outside: the canary */
	int outside;
	uint64_t canary;
};

void tree_make(struct tree *t);

/* Checks the canary and removes the tree. */
void tree_end(struct tree *t);

/* Returns a hash of the canary: names, types, modes, owners, links, inodes and contents. */
uint64_t tree_canary(const struct tree *t);

/* Executes one order. Returns the result's error code. */
enum error_code tree_place(const struct tree *t, struct copy_order *order, const void *data,
			   struct copy_result *result);

/* Puts a complete regular file, directory or link at path. Returns the result's error code. */
enum error_code tree_put(const struct tree *t, const char *path, uint32_t mode, const char *data,
			 struct copy_result *result);

/* Returns whether the content of shared/path is text. */
bool tree_has(const struct tree *t, const char *path, const char *text);

/* Returns st_mode of shared/path, 0 if it does not exist. */
uint32_t tree_mode(const struct tree *t, const char *path);

/* Return the number of temporary files in shared/path, and of all entries. */
unsigned int tree_temps(const struct tree *t, const char *path);
unsigned int tree_names(const struct tree *t, const char *path);
