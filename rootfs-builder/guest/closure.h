/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that the programs a guest starts with can run. A missing library would show only at
 * boot. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

/* Checks that /init, /sbin/init and /usr/bin/kata-agent lead to executable files of the image for
 * the machine, whose interpreters and libraries (DT_NEEDED, also those of libraries) are in the
 * image. A script needs its interpreter. With static_init, /init must not have one. Libraries are
 * looked up like by the loaders of glibc and musl, without their caches. */
int closure_verify(const struct image *image, uint16_t machine, bool static_init,
		   struct error *err);
