/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/prune.h"

#include <fnmatch.h>
#include <stdbool.h>

/* docs/images.md has this table, too. */
const struct prune_rule prune_rules[] = {
	{ "usr/share/doc/*", false, "documentation; licences are listed in the bill of materials" },
	{ "usr/share/doc-base/*", false, "documentation" },
	{ "usr/share/man/*", false, "documentation" },
	{ "usr/share/info/*", false, "documentation" },
	{ "usr/share/lintian/*", false, "checks of the packages themselves" },
	{ "usr/share/bug/*", false, "forms for reports of errors" },
	{ "usr/share/locale/*", false, "translations; the guest runs in the C locale" },
	{ "usr/lib/*/gconv/*", false, "conversions of character sets other than UTF-8" },
	{ "usr/lib/udev/hwdb.d/*", false, "names of hardware that no VM has" },
	{ "usr/lib/udev/hwdb.bin", false, "names of hardware that no VM has" },
	{ "usr/share/bash-completion/*", false, "the guest has no interactive shell" },
	{ "usr/share/zsh/*", false, "the guest has no interactive shell" },
	{ "var/lib/apt/*", false, "lists of packages: the guest installs none" },
	{ "var/cache/*", true, "made again when needed; some have times and inode numbers" },
	{ "var/log/*", true, "logs of the installation" },
	{ "var/lib/dpkg/info/*", false,
	  "lists and scripts of packages; the status is kept for scanners" },
	{ "var/lib/dpkg/*-old", false, "backups" },
	{ "var/lib/dpkg/triggers/*", false, "state of the installation" },
	{ "var/lib/dpkg/updates/*", false, "state of the installation" },
	{ "var/lib/dpkg/lock*", false, "state of the installation" },
	{ "etc/apt/sources.list", false, "depends on the mirror of the build" },
	{ "etc/*-", false, "backups of passwd, group and shadow" },
	{ "etc/.pwd.lock", false, "state of the installation" },
	{ "etc/ssh/ssh_host_*_key*", false, "keys that every guest would share" },
	{ "var/lib/systemd/random-seed", false, "a seed that every guest would share" },
	{ "var/lib/systemd/catalog/*", false, "texts for a journal that is not read in the guest" },
	{ "var/lib/dbus/machine-id", false, "an identity that every guest would share" },
	{ "tmp/*", false, "leftovers" },
	{ "run/*", true, "leftovers" },
	{ NULL, false, NULL },
};

static bool
prune_keeps(const struct image_entry *entry, void *data)
{
	for (const struct prune_rule *rule = data; rule->pattern; rule++) {
		if ((!rule->files_only || !S_ISDIR(entry->mode)) &&
		    fnmatch(rule->pattern, entry->path, 0) == 0)
			return false;
	}
	return true;
}

size_t
prune_image(struct image *image, const struct prune_rule *rules)
{
	return image_filter(image, prune_keeps, (void *)rules);
}
