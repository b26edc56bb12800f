/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an archive back, as the kernel would, and compares it with the image it was made from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image.h"

/* Checks the archive in fd (from its start; the position is left anywhere), which cpio_write() made
 * from the image: the same members in the same order with the same content; /init leads to a program
 * for the machine, the agent at /usr/bin/kata-agent is one as well, and each finds its interpreter,
 * if it wants one, in the image (with static_init, /init must not want one). DATA_LOSS, NOT_FOUND or
 * INVALID_ARGUMENT otherwise. */
int verify_archive(int fd, const struct image *image, uint32_t mtime, uint16_t machine,
		   bool static_init, struct error *err);
