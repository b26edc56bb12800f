/* SPDX-License-Identifier: Apache-2.0 */
/* Writing of the image of a build as a pax archive, and reading it back. */
#pragma once

#include <nettle/sha2.h>

#include "rootfs-builder/archive/pack.h"
#include "rootfs-builder/build.h"

/* Writes the sorted image: the time of each member is the epoch, and hard links are kept. Sets the
 * crc of each entry, and updates a hash of the archive without compression. The caller finishes the
 * packer. */
int tar_write(struct build *build, struct packer *packer, struct sha256_ctx *hash,
	      struct error *err);

/* Writes the image to a new file, compressed. Stores the state of a hash of the archive without
 * compression in *hash, which may be NULL. */
int tar_write_file(struct build *build, const char *path, enum pack_format format,
		   struct sha256_ctx *hash, struct error *err);

/* Compares an archive that tar_write() has made with the image. DATA_LOSS if they differ. */
int tar_verify(struct build *build, const char *path, struct error *err);
