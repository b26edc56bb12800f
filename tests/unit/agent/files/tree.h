/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up run directory, and beside it a tree that no copy may ever touch. Needs no root, but for owners. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/files/files_internal.h"

struct tree {
	char dir[64];
	int run;     /* dir/run, as roots.run */
	int proc;    /* /proc */
	int shared;  /* dir/run/shared/containers */
	int outside; /* dir/outside: the canary */
	uint64_t canary;
};

void tree_make(struct tree *t);

/* Also checks the canary. */
void tree_end(struct tree *t);

/* A hash of everything that can be seen of the canary: names, kinds, modes, owners, sizes, contents. */
uint64_t tree_canary(const struct tree *t);

/* Does one order; the result's error code. */
enum error_code tree_place(const struct tree *t, struct copy_order *order, const void *data,
			   struct copy_result *result);

/* A whole regular file, directory or link at path. */
enum error_code tree_put(const struct tree *t, const char *path, uint32_t mode, const char *data,
			 struct copy_result *result);

/* The content of shared/path is text? Its mode? */
bool tree_has(const struct tree *t, const char *path, const char *text);
uint32_t tree_mode(const struct tree *t, const char *path); /* 0: it is not there */

/* Names in shared/path that are temporary ones, and all names. */
unsigned int tree_temps(const struct tree *t, const char *path);
unsigned int tree_names(const struct tree *t, const char *path);
