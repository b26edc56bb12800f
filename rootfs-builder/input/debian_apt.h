/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private apt, which does not touch that of this system: the package lists and packages of some
 * archives, in the cache directory debian/apt-KEY (KEY: archives and architecture). It checks
 * signatures.
 */
#pragma once

#include <nettle/sha2.h>

#include "rootfs-builder/build.h"
#include "rootfs-builder/input/debian_sources.h"

/* Part of a SHA-256 in file names. */
#define DEBIAN_KEY_LEN 24

struct debian_apt {
	const struct build *build;
	const char *suite;
	/* As Debian names it. */
	const char *arch;
	struct debian_sources sources;
	/* Its directory. */
	char *dir;
};

/* Makes the directory, and reads the package lists, at most once a day. Old ones are better than
 * none. */
int debian_apt_update(struct debian_apt *apt, struct error *err);

/* Adds the signed file of each archive to a hash. */
int debian_apt_hash(const struct debian_apt *apt, struct sha256_ctx *hash, struct error *err);

void debian_apt_release(struct debian_apt *apt);

/* Creates a directory with its parents. */
int debian_apt_mkdir(const char *path, struct error *err);
