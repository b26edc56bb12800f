/* SPDX-License-Identifier: Apache-2.0 */
/* The units for systemd as PID 1, from rootfs-builder/systemd. */
#pragma once

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

struct unit {
	/* In the image, without leading slash. */
	const char *path;
	const char *text;
};
/* Ends with a NULL path. */
extern const struct unit units[];

/* Adds the units if the image has systemd. Those that it has already are kept. */
int units_add(struct image *image, struct error *err);
