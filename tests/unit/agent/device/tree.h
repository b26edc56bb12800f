/* SPDX-License-Identifier: Apache-2.0 */
/* A fake /sys and /dev in a temporary directory. */
#pragma once

#include "agent/roots.h"

struct tree {
	char dir[32];
	/* only sys and dev are set */
	struct roots roots;
};

void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* Makes the directory sys/<path>, with its parents. */
void tree_dir(const struct tree *t, const char *path);

/* Makes the file sys/<path> with this text, in a directory that exists or is made. */
void tree_file(const struct tree *t, const char *path, const char *text);

/* Makes the symbolic link sys/<path>, in a directory that is made. */
void tree_link(const struct tree *t, const char *path, const char *target);
