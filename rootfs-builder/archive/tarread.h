/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading of tar archives into the image of a build: plain, or compressed with gzip, xz or zstd.
 * Content goes to files in the work directory, so memory does not grow with it. An archive cannot
 * write anywhere else: its paths exist in the image only, where symlinks are resolved. A leading
 * "/" is dropped, and a path with ".." is refused.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "rootfs-builder/build.h"

/* Stores the address of the next bytes of an archive. Returns their number, 0 at the end, or -1 and
 * err. */
typedef ssize_t tar_input_fn(void *data, const void **bytes, struct error *err);

/* Reads up to n bytes of a file or a fifo, until a signal asks the build to end. Returns their
 * number, 0 at the end, or -1 and err. */
ssize_t tar_read_fd(int fd, void *bytes, size_t n, struct error *err);

/* Adds the members of an archive. With is_layer it is a layer of an OCI image: whiteouts remove
 * entries of earlier layers, and a member replaces an entry of another type. `what` names the
 * archive in messages. */
int tar_read(struct build *build, const char *what, tar_input_fn *input, void *data, bool is_layer,
	     struct error *err);
