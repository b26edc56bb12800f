/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts that are not attached anywhere yet. Worker only: may block. */
#pragma once

#include "lib/error.h"

struct worker;

/* A file system as mount(2) takes it. */
struct storage_fs {
	const char *source, *type, *data;
	/* MS_* */
	unsigned long flags;
};

/* The fd of a new mount of fs; what is made for it in the directory `run` (the agent's own) is
 * journalled. -1 and err. */
int storage_tree_mount(struct worker *w, const struct storage_fs *fs, int run, struct error *err);

/* The fd of a bind of what the fd `source` stands for. flags: MS_REC, and those that the bind is
 * to have. -1 and err. */
int storage_tree_bind(int source, unsigned long flags, struct error *err);
