/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up guest: directories that take the place of /proc, /sys and the others. */
#pragma once

#include <stddef.h>

#include "agent/roots.h"

struct tree {
	char dir[32];
	struct roots roots;
};

/* All of the roots are there, and empty. */
void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* Writes a file below one of the roots, with the directories on the way. */
void tree_put(int root, const char *path, const char *text);
/* What is in it, NUL-ended; "" if there is none. */
void tree_get(int root, const char *path, char *text, size_t size);
