/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of an image_guest_pull storage. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/storage/spec.h"

#define IMAGE_PULL_DRIVER "image_guest_pull"

/* The bundle of the sandbox container in the guest's image. */
#define IMAGE_PAUSE_BUNDLE "/pause_bundle"

/* A reference in its parts. */
struct image_source {
	/* The directory of an OCI layout in the guest, of `len` bytes; NULL: the image is in a
	 * registry. */
	const char *layout;
	size_t len;
	/* The reference in a registry, or the name of an image in the layout ("": its only one). */
	const char *name;
};

/* Splits a reference, "oci:DIRECTORY[:NAME]" or a name in a registry, into parts of the same
 * string. Returns false if it is invalid: a valid one cannot be mistaken for an option of a
 * program, or for another transport of skopeo. */
bool image_request_parse(const char *reference, struct image_source *out);

/* Returns whether the storage has the driver option that the driver requires, with an object
 * "metadata". */
bool image_request_has_metadata(const struct storage_spec *spec);

/* Returns whether the storage, of any driver, is the root of a pod's sandbox container, which comes
 * from IMAGE_PAUSE_BUNDLE. */
bool image_request_is_pause(const struct storage_spec *spec);
