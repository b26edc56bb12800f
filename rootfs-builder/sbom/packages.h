/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packages of a distribution in an image, read from the database of dpkg or apk, for the bill
 * of materials. Read before the image is pruned, which removes most of these databases.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

struct package {
	/* Type in a package URL: "deb" or "apk". */
	const char *type;
	char *name, *version, *arch;
	/* Each may be NULL. The licence is an SPDX expression. */
	char *source, *maintainer, *homepage, *license;
};

struct packages {
	struct package *items;
	size_t n;
	/* ID and VERSION_ID of os-release; NULL if there are none. */
	char *distribution, *release;
	/* Paths of entries that belong to a package, sorted. */
	char **owned;
	size_t n_owned, owned_size;
	/* The image has a database of rpm, which is not read. */
	bool has_rpm;
};

/* Adds the packages of an image. INVALID_ARGUMENT if a database is malformed. */
int packages_read(struct packages *packages, const struct image *image, struct error *err);

void packages_release(struct packages *packages);

/* Tells whether the entry with this path belongs to a package. */
bool packages_own(const struct packages *packages, const char *path);

/* Converts the licence of a machine-readable debian/copyright file, or of apk, to an SPDX
 * expression. Returns NULL if a part of it is not known. The caller frees the result. */
char *packages_license(const char *text);
