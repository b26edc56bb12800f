/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an OCI image layout, or of an archive of `docker save`, and the JSON in them. */
#pragma once

#include <jansson.h>

#include "rootfs-builder/build.h"
#include "rootfs-builder/work/hash.h"

/* Length of the path of a blob. */
#define OCI_PATH_LEN (sizeof("blobs/sha256/") - 1 + 64)

/* Lists the files of a layout; those of an archive are unpacked to the work directory. The caller
 * releases the store, also after a failure. */
int oci_store_load(struct image *store, struct build *build, const char *path, struct error *err);

/* Stores the path that the blob with this digest has in a layout. */
int oci_store_path(const char *digest, char out[OCI_PATH_LEN + 1], struct error *err);

/* Loads a JSON object or array, and stores its digest in `found`. It is compared with
 * `digest` unless that is NULL. */
int oci_store_json(const struct image *store, const char *path, const char *digest,
		   char found[HASH_DIGEST_LEN + 1], json_t **out, struct error *err);

/* Loads the JSON in a blob. */
int oci_store_blob(const struct image *store, const char *digest, json_t **out, struct error *err);
