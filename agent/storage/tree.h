/* SPDX-License-Identifier: Apache-2.0 */
/* Detached mounts. Worker only: may block. */
#pragma once

#include "lib/error.h"

struct roots;
struct worker;

/* The arguments of mount(2) for a file system. */
struct storage_fs {
	const char *source, *type, *data;
	/* MS_* */
	unsigned long flags;
};

/* Mounts fs detached, after loading the module with its file system if the kernel does not have it.
 * The temporary mount point in the directory roots->run (private to the agent) is journalled.
 * Returns the fd of the mount, or -1 and err. */
int storage_tree_mount(struct worker *w, const struct storage_fs *fs, const struct roots *roots,
		       struct error *err);

/* Makes a detached bind of the file or directory at fd `source`. flags: MS_REC, and the flags of
 * the bind. Returns its fd, or -1 and err. */
int storage_tree_bind(int source, unsigned long flags, struct error *err);
