/* SPDX-License-Identifier: Apache-2.0 */
/* Mount option words. Pure functions. */
#include "lib/mountopt.h"

#include <stddef.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/sys.h"

static const struct mountopt words[] = {
	{ .name = "acl", .set = MS_POSIXACL },
	{ .name = "async", .clear = MS_SYNCHRONOUS },
	{ .name = "atime", .clear = MS_NOATIME },
	{ .name = "bind", .set = MS_BIND },
	{ .name = "defaults" },
	{ .name = "dev", .clear = MS_NODEV },
	{ .name = "diratime", .clear = MS_NODIRATIME },
	{ .name = "dirsync", .set = MS_DIRSYNC },
	{ .name = "exec", .clear = MS_NOEXEC },
	{ .name = "iversion", .set = MS_I_VERSION },
	{ .name = "lazytime", .set = MS_LAZYTIME },
	{ .name = "loud", .clear = MS_SILENT },
	{ .name = "mand", .set = MS_MANDLOCK },
	{ .name = "noacl", .clear = MS_POSIXACL },
	{ .name = "noatime", .set = MS_NOATIME, .clear = MOUNTOPT_ATIME },
	{ .name = "nodev", .set = MS_NODEV },
	{ .name = "nodiratime", .set = MS_NODIRATIME },
	{ .name = "noexec", .set = MS_NOEXEC },
	{ .name = "noiversion", .clear = MS_I_VERSION },
	{ .name = "nolazytime", .clear = MS_LAZYTIME },
	{ .name = "nomand", .clear = MS_MANDLOCK },
	{ .name = "norelatime", .clear = MS_RELATIME },
	{ .name = "nostrictatime", .clear = MS_STRICTATIME },
	{ .name = "nosuid", .set = MS_NOSUID },
	{ .name = "nosymfollow", .set = MS_NOSYMFOLLOW },
	{ .name = "private", .propagation = MS_PRIVATE },
	{ .name = "rbind", .set = MS_BIND | MS_REC },
	{ .name = "relatime", .set = MS_RELATIME, .clear = MOUNTOPT_ATIME },
	{ .name = "remount", .set = MS_REMOUNT },
	{ .name = "ro", .set = MS_RDONLY },
	{ .name = "rprivate", .propagation = MS_PRIVATE | MS_REC },
	{ .name = "rshared", .propagation = MS_SHARED | MS_REC },
	{ .name = "rslave", .propagation = MS_SLAVE | MS_REC },
	{ .name = "runbindable", .propagation = MS_UNBINDABLE | MS_REC },
	{ .name = "rw", .clear = MS_RDONLY },
	{ .name = "shared", .propagation = MS_SHARED },
	{ .name = "silent", .set = MS_SILENT },
	{ .name = "slave", .propagation = MS_SLAVE },
	{ .name = "strictatime", .set = MS_STRICTATIME, .clear = MOUNTOPT_ATIME },
	{ .name = "suid", .clear = MS_NOSUID },
	{ .name = "symfollow", .clear = MS_NOSYMFOLLOW },
	{ .name = "sync", .set = MS_SYNCHRONOUS },
	{ .name = "unbindable", .propagation = MS_UNBINDABLE },
};

static int mountopts_add_data(struct mountopts *o, const char *word);

const struct mountopt *
mountopt_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].name, word) == 0)
			return &words[i];
	return NULL;
}

int
mountopts_add(struct mountopts *o, const char *word, const char *const *strip)
{
	const struct mountopt *row = mountopt_find(word);

	if (row) {
		o->flags = (o->flags & ~row->clear) | row->set;
		o->propagation |= row->propagation;
		return 0;
	}
	for (; strip && *strip; strip++)
		if (strncmp(word, *strip, strlen(*strip)) == 0)
			return 0;
	return mountopts_add_data(o, word);
}

static int
mountopts_add_data(struct mountopts *o, const char *word)
{
	size_t len = strlen(o->data), n = strlen(word);

	if (!n)
		return 0;
	if (len + n + 2 > sizeof(o->data))
		return -1;
	if (len)
		o->data[len++] = ',';
	memcpy(o->data + len, word, n + 1);
	return 0;
}

uint64_t
mountopt_attrs(unsigned long flags)
{
	static const struct {
		unsigned long flag;
		uint64_t attr;
	} rows[] = {
		{ MS_RDONLY, MOUNT_ATTR_RDONLY },
		{ MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV },
		{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
		{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
	};
	uint64_t attrs = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (flags & rows[i].flag)
			attrs |= rows[i].attr;
	if (flags & MS_NOATIME)
		attrs |= MOUNT_ATTR_NOATIME;
	else if (flags & MS_STRICTATIME)
		attrs |= MOUNT_ATTR_STRICTATIME;
	return attrs;
}
