/* SPDX-License-Identifier: Apache-2.0 */
/* Content of regular files of an image, wherever it is kept. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

/* Takes a part of the content. */
typedef int content_take_fn(const uint8_t *bytes, size_t n, void *data, struct error *err);

/* Passes the content of a regular file, or the target of a symlink, in parts of at most 64 KiB.
 * ABORTED if its source on the host has changed since it was added. */
int content_read(const struct image_entry *entry, content_take_fn *take, void *data,
		 struct error *err);
