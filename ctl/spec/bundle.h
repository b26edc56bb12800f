/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI bundle: a directory with config.json and the container's root. Its spec is passed on as it
 * is, but for what refers to the host: the root and the sources of bind mounts become shares, and
 * what a VM does not have is left out. May block.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl/spec/oci_config.h"
#include "ctl/spec/spec.h"
#include "ctl/spec/volume.h"
#include "lib/error.h"

struct bundle {
	/* config.json, without what is of the host */
	struct oci_config config;
	char file[PATH_MAX];
	/* the root, a path of the host */
	char root[PATH_MAX];
	/* see struct spec_bundle */
	int *volumes;
};

/* Reads the bundle in `dir`. Returns 0, or -1 and err (INVALID_ARGUMENT). The caller releases *out
 * in both cases. */
int bundle_open(struct bundle *out, const char *dir, struct error *err);

/* Adds the volumes of bind mounts to `list`, which has *n of at most SPEC_VOLUMES_MAX. Those that
 * are there replace mounts of the same target. Returns 0, or -1 and err. */
int bundle_add_volumes(struct bundle *b, struct volume *list, size_t *n, struct error *err);

/* Releases what bundle_open() has allocated. All zero is allowed. */
void bundle_release(struct bundle *b);
