/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of a container image. */
#pragma once

#include "rootfs-builder/build.h"

/* Adds the layer at this path of the store to the image. `digest` is that of the file, or NULL;
 * diff_id that of the tar in it. Both are verified. */
int oci_layer_add(struct build *build, const struct image *store, const char *path,
		  const char *digest, const char *diff_id, struct error *err);
