/* SPDX-License-Identifier: Apache-2.0 */
/* Words of fstab(5)/mount(8) options that are flags of mount(2): one table for storages and containers. */
#pragma once

#include <stdint.h>
#include <sys/mount.h>

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* The flags that choose the kind of atime; they exclude each other. */
#define MOUNTOPT_ATIME (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

/* What one option word does to the flags of mount(2). */
struct mountopt {
	const char *name;
	unsigned long set, clear; /* MS_* */
	unsigned long
		propagation; /* MS_PRIVATE, MS_SHARED, MS_SLAVE or MS_UNBINDABLE, maybe |MS_REC */
};

/* The row of a word, or NULL: then it belongs to the file system's data string. */
const struct mountopt *mountopt_find(const char *word);

/* The sum of a list of options. Words without a row are joined with commas in data (size bytes); words
 * that start with one of `strip` (NULL-terminated list, may be NULL) are left out. Returns 0, or -1 if the data do
 * not fit (mount(2) takes one page) . */
struct mountopts {
	unsigned long flags, propagation;
	char data[4096];
};
int mountopts_add(struct mountopts *o, const char *word, const char *const *strip);

/* Returns the attributes of mount_setattr(2) that flags of mount(2) stand for: those that belong to a mount, not to its
 * file system. A caller whose flags hold one of MOUNTOPT_ATIME also clears MOUNT_ATTR__ATIME, in which relatime is 0. */
uint64_t mountopt_attrs(unsigned long flags);
