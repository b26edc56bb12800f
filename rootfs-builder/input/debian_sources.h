/* SPDX-License-Identifier: Apache-2.0 */
/* The archives that a Debian root is made from, as lines of sources.list(5). */
#pragma once

#include <stddef.h>

#include "lib/error.h"

#define DEBIAN_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

struct debian_sources {
	/* "deb [signed-by=KEYRING] URI SUITE COMPONENT..." */
	char **lines;
	size_t n;
};

/* Finds the archives of a suite: those of `mirrors` (lines as above, or URIs, whose component is
 * then main), ends with NULL; or, if that is NULL, those that the apt configuration in `etc`
 * ("/etc/apt") has of Debian for the suite, its updates and its security updates. If it has none,
 * the lines are made from those of the suite `own` of this system, and else from deb.debian.org. */
int debian_sources_find(struct debian_sources *sources, const char *etc, const char *suite,
			const char *own, const char *const *mirrors, struct error *err);

void debian_sources_release(struct debian_sources *sources);
