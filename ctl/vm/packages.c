/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of distributions. */
#include "ctl/vm/packages.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

enum family {
	FAMILY_DEBIAN,
	FAMILY_FEDORA,
	FAMILY_SUSE,
	FAMILY_ARCH,
	FAMILY_ALPINE,
	FAMILIES,
};

/* Values of ID and ID_LIKE. */
static const struct {
	const char *id;
	enum family family;
} ids[] = {
	{ "debian", FAMILY_DEBIAN }, { "ubuntu", FAMILY_DEBIAN }, { "fedora", FAMILY_FEDORA },
	{ "rhel", FAMILY_FEDORA },   { "centos", FAMILY_FEDORA }, { "suse", FAMILY_SUSE },
	{ "opensuse", FAMILY_SUSE }, { "arch", FAMILY_ARCH },     { "alpine", FAMILY_ALPINE },
};

static const struct {
	const char *program;
	const char *names[FAMILIES];
} packages[] = {
	{ "qemu-system-x86_64",
	  { "qemu-system-x86", "qemu-system-x86-core", "qemu-x86", "qemu-system-x86",
	    "qemu-system-x86_64" } },
	{ "qemu-system-aarch64",
	  { "qemu-system-arm", "qemu-system-aarch64-core", "qemu-arm", "qemu-system-aarch64",
	    "qemu-system-aarch64" } },
	/* Not in Debian 12, see package_of(). */
	{ "virtiofsd", { "virtiofsd", "virtiofsd", "virtiofsd", "virtiofsd", "virtiofsd" } },
	{ "vhost-device-vsock", { [FAMILY_FEDORA] = "vhost-device-vsock" } },
	{ "passt", { "passt", "passt", "passt", "passt", "passt" } },
	{ "skopeo", { "skopeo", "skopeo", "skopeo", "skopeo", "skopeo" } },
	{ "mke2fs", { "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs" } },
	{ "debugfs", { "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs-extra" } },
};

/* Returns whether a word of a list, which ends with its line, is `id`. */
static bool
package_has_word(const char *list, const char *id)
{
	size_t n = strlen(id);

	for (const char *at = list; *at && *at != '\n';) {
		size_t word = strcspn(at, " \"'\n");

		if (word == n && strncmp(at, id, n) == 0)
			return true;
		at += word;
		at += *at && *at != '\n';
	}
	return false;
}

/* Returns the family of a distribution, or FAMILIES. */
static enum family
package_family(const char *os_release)
{
	static const char *const keys[] = { "ID=", "ID_LIKE=" };

	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		for (const char *line = os_release; line && *line;) {
			const char *next = strchr(line, '\n');
			size_t n = strlen(keys[k]);

			for (size_t i = 0; strncmp(line, keys[k], n) == 0 && i < ARRAY_LEN(ids);
			     i++)
				if (package_has_word(line + n, ids[i].id))
					return ids[i].family;
			line = next ? next + 1 : NULL;
		}
	}
	return FAMILIES;
}

const char *
package_of(const char *program, const char *os_release)
{
	enum family family = package_family(os_release);

	if (strcmp(program, "virtiofsd") == 0 && strstr(os_release, "\nVERSION_ID=\"12\"") &&
	    strstr(os_release, "\nID=debian"))
		return NULL;
	for (size_t i = 0; family != FAMILIES && i < ARRAY_LEN(packages); i++)
		if (strcmp(packages[i].program, program) == 0)
			return packages[i].names[family];
	return NULL;
}

void
package_advice(const char *program, const char *os_release, char *out, size_t size)
{
	const char *package = package_of(program, os_release);

	if (package)
		(void)snprintf(out, size, "install the package %s", package);
	else
		(void)snprintf(out, size,
			       "put it into libexec/ next to tatamictl, as `make` of tatami does");
}
