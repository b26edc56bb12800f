/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the machine that builds the image, written so that a reader sees the old file or the new one, never half of
 * one. Host side only; everything here may block.
 */
#pragma once

#include "lib/error.h"

/* A file on its way to `path`: written under a temporary name beside it. */
struct hostfile {
	int fd;     /* open for reading and writing; -1 when there is none */
	char *path; /* where it will be */
	char *temp; /* where it is */
};

#define HOSTFILE_INIT ((struct hostfile){ .fd = -1 })

int hostfile_create(struct hostfile *file, const char *path, struct error *err);

/* Makes it readable for all (0644), flushes it and gives it its name. On failure it is gone. */
int hostfile_commit(struct hostfile *file, struct error *err);

/* Removes the temporary file, if any. Safe after a commit and on HOSTFILE_INIT. */
void hostfile_discard(struct hostfile *file);
