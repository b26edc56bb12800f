/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up /sys and /dev in a directory of its own. */
#pragma once

#include "agent/roots.h"

struct tree {
	char dir[32];
	struct roots roots; /* only sys and dev are there */
};

void tree_make(struct tree *t);
void tree_remove(struct tree *t);
/* Makes the directory sys/<path>, with those on the way. */
void tree_dir(const struct tree *t, const char *path);
