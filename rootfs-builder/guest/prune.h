/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of what a guest never reads from the image of a distribution. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rootfs-builder/image/image.h"

struct prune_rule {
	/* Pattern of fnmatch(3), in which a star matches slashes, too. One that ends with a slash
	 * and a star keeps the directory itself. */
	const char *pattern;
	/* Directories stay: programs expect them. */
	bool files_only;
	const char *why;
};
/* Ends with a NULL pattern. */
extern const struct prune_rule prune_rules[];

/* Removes entries that match a rule. Returns their number. */
size_t prune_image(struct image *image, const struct prune_rule *rules);
