/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic replacement of files on the build machine: a reader sees the old file or the new one,
 * never a partial one. Host side only; may block.
 */
#pragma once

#include "lib/error.h"

/* A file that is written under a temporary name in the directory of its final one. */
struct hostfile {
	/* Open for reading and writing; -1 if there is no file. */
	int fd;
	/* Final name. */
	char *path;
	/* Temporary name. */
	char *temp;
};

#define HOSTFILE_INIT ((struct hostfile){ .fd = -1 })

/* Creates the temporary file for `path`. */
int hostfile_create(struct hostfile *file, const char *path, struct error *err);

/* Sets the mode to 0644, flushes the file and renames it to its final name. On failure the
 * temporary file is removed. */
int hostfile_commit(struct hostfile *file, struct error *err);

/* Removes the temporary file, if any. Safe after a commit and on HOSTFILE_INIT. */
void hostfile_discard(struct hostfile *file);
