/* SPDX-License-Identifier: Apache-2.0 */
/* A fake guest: directories in the place of /proc, /sys and the others. */
#pragma once

#include <stddef.h>

#include "agent/roots.h"

struct tree {
	char dir[32];
	struct roots roots;
};

/* Makes all roots as empty directories. */
void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* Writes a file below one of the roots, and makes its parents. */
void tree_put(int root, const char *path, const char *text);

/* Reads a file as a string; "" if it does not exist. */
void tree_get(int root, const char *path, char *text, size_t size);
