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
