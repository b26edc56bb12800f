/* SPDX-License-Identifier: Apache-2.0 */
/* A fake root directory of a guest. */
#pragma once

#include "agent/roots.h"

struct tree {
	char dir[40];
	/* Only root, dev and run are set. */
	struct roots roots;
};

void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* Writes a file, in a directory that is made. */
void tree_file(const struct tree *t, const char *path, const char *text);
