/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the machine that builds the image: read whole, or written so that a reader sees the old
 * file or the new one and never half of one. Host side only; everything here may block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Reads a regular file of at most max bytes. *out is the caller's (free()), ends with a NUL that
 * *len does not count. NOT_FOUND if it is absent, RESOURCE_EXHAUSTED if it is larger than max. */
int hostfile_read(const char *path, size_t max, char **out, size_t *len, struct error *err);

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
