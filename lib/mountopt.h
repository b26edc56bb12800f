/* SPDX-License-Identifier: Apache-2.0 */
/* Mount options of fstab(5) and mount(8) that are flags of mount(2): one table for storages and
 * containers. */
#pragma once

#include <stdint.h>
#include <sys/mount.h>

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* The mutually exclusive flags for the kind of atime. */
#define MOUNTOPT_ATIME (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

/* Effect of an option on the flags of mount(2). */
struct mountopt {
	const char *name;
	/* MS_* flags. */
	unsigned long set, clear;
	/* MS_PRIVATE, MS_SHARED, MS_SLAVE or MS_UNBINDABLE, maybe |MS_REC */
	unsigned long propagation;
};

/* Returns the row of an option, or NULL if it is passed to the file system as data. */
const struct mountopt *mountopt_find(const char *word);

/* Combines a list of options. Options without a row are joined with commas in data (size bytes),
 * except those that start with one of `strip` (ends with NULL; may be NULL). Returns 0, or -1 if
 * the data do not fit (mount(2) accepts one page). */
struct mountopts {
	unsigned long flags, propagation;
	char data[4096];
};
int mountopts_add(struct mountopts *o, const char *word, const char *const *strip);

/* Returns the attributes of mount_setattr(2) that flags of mount(2) stand for: those that belong
 * to a mount, not to its file system. A caller whose flags hold one of MOUNTOPT_ATIME also
 * clears MOUNT_ATTR__ATIME, in which relatime is 0. */
uint64_t mountopt_attrs(unsigned long flags);
