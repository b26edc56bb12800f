/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an archive back as the kernel would, and compares it with the image it was made from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

/* Checks the archive in fd, which cpio_write() has made from the image: members, order and content
 * are the same; /init and the agent at /usr/bin/kata-agent are programs for the machine, whose
 * interpreters, if any, are in the image. With static_init, /init must not have an interpreter.
 * Reads from the start of the file, and leaves the position undefined. Fails with DATA_LOSS,
 * NOT_FOUND or INVALID_ARGUMENT. */
int verify_archive(int fd, const struct image *image, uint32_t mtime, uint16_t machine,
		   bool static_init, struct error *err);
