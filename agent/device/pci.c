/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths. Each hop except the last is a bridge, whose bus is the only entry of its pci_bus
 * directory. The first hop is on the bus of the root complex, which has the same number. */
#include "agent/device/pci.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/device/sysfs.h"
#include "lib/parse.h"

#define PXB_FIRST 0x20u

static bool
parse_hex_max(const char *s, size_t n, unsigned int max, unsigned int *out)
{
	char text[8];
	uint64_t v;

	if (n == 0 || n > 2)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	if (strchr(text, 'x') || strchr(text, 'X') || !parse_hex(text, &v) || v > max)
		return false;
	*out = (unsigned int)v;
	return true;
}

/* Parses one "SS[.F]". */
static bool
parse_hop(const char *s, size_t n, unsigned int *slot, unsigned int *function)
{
	const char *dot = memchr(s, '.', n);

	*function = 0;
	if (dot && !parse_hex_max(dot + 1, n - (size_t)(dot - s) - 1, 7, function))
		return false;
	return parse_hex_max(s, dot ? (size_t)(dot - s) : n, 0x1f, slot);
}

int
pci_path_parse(const char *text, struct pci_path *out, struct error *err)
{
	struct pci_path p = { 0 };
	const char *s = text;
	unsigned int parts = 1;

	for (const char *c = text; *c; c++)
		parts += *c == '/';
	for (unsigned int i = 0; i < parts; i++) {
		size_t n = strcspn(s, "/");
		unsigned int root;

		if (i == 0 && parts >= 3 && parse_hex_max(s, n, 0xff, &root) && root >= PXB_FIRST) {
			p.root = root;
		} else if (p.n == PCI_PATH_DEPTH ||
			   !parse_hop(s, n, &p.hops[p.n].slot, &p.hops[p.n].function)) {
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"invalid PCI path \"%.64s\": element %u is not slot[.function], or "
				"there are more than %d elements",
				text, i + 1, PCI_PATH_DEPTH);
		} else {
			p.n++;
		}
		s += n + 1;
	}
	*out = p;
	return 0;
}

bool
pci_is_name(const char *text)
{
	static const char form[PCI_NAME_LENGTH + 1] = "xxxx:xx:xx.7";

	for (size_t i = 0; i < PCI_NAME_LENGTH; i++) {
		bool fits = form[i] == 'x'   ? isxdigit((unsigned char)text[i])
			    : form[i] == '7' ? text[i] >= '0' && text[i] <= '7'
					     : text[i] == form[i];

		if (!fits)
			return false;
	}
	return true;
}

struct bus {
	/* "0000:01" */
	char name[16];
	unsigned int n;
};

/* Takes an entry of a bridge's pci_bus directory. */
static bool
take_bus(const char *name, void *data)
{
	struct bus *b = data;

	(void)snprintf(b->name, sizeof(b->name), "%.15s", name);
	b->n++;
	return true;
}

/* Takes the bus of a function, "0000:01:02.0", that is below a bridge. */
static bool
take_child(const char *name, void *data)
{
	struct bus *b = data;
	char at[16];

	if (!pci_is_name(name) || name[PCI_NAME_LENGTH])
		return true;
	(void)snprintf(at, sizeof(at), "%.7s", name);
	if (b->n == 0 || strcmp(b->name, at) != 0)
		(void)take_bus(at, b);
	return true;
}

/* Finds the bus behind a bridge. Returns 0 if there is one, 1 if there is none yet, -1 if there are
 * more. A kernel without directories of buses shows it by the functions on it only. */
static int
bus_behind(int sysfd, const char *bridge, char bus[16])
{
	struct bus b = { .n = 0 };
	char path[544];

	(void)snprintf(path, sizeof(path), "%s/pci_bus", bridge);
	if (sysfs_each(sysfd, path, take_bus, &b) < 0)
		(void)sysfs_each(sysfd, bridge, take_child, &b);
	memcpy(bus, b.name, sizeof(b.name));
	return b.n == 1 ? 0 : b.n == 0 ? 1 : -1;
}

struct root {
	int sysfd;
	/* "pci0000:00" */
	char name[16];
	char dir[512];
	bool found;
};

/* Takes a platform device below which the root complex is. */
static bool
take_platform(const char *name, void *data)
{
	struct root *r = data;
	struct stat st;

	r->found = (size_t)snprintf(r->dir, sizeof(r->dir), "devices/platform/%s/%s", name,
				    r->name) < sizeof(r->dir) &&
		   fstatat(r->sysfd, r->dir, &st, 0) == 0;
	return !r->found;
}

/* Finds the directory of a root complex. On machines that a device tree or ACPI describes, such as
 * aarch64, it is below that of its controller. */
static bool
find_root(struct root *r, unsigned int bus)
{
	struct stat st;

	(void)snprintf(r->name, sizeof(r->name), "pci0000:%02x", bus);
	(void)snprintf(r->dir, sizeof(r->dir), "devices/%s", r->name);
	r->found = fstatat(r->sysfd, r->dir, &st, 0) == 0;
	if (!r->found)
		(void)sysfs_each(r->sysfd, "devices/platform", take_platform, r);
	return r->found;
}

int
pci_path_resolve(int sysfd, const struct pci_path *path, char *out, size_t size, struct error *err)
{
	struct root root = { .sysfd = sysfd };
	char *dir = root.dir;
	char bus[16];
	struct stat st;
	size_t len;

	if (!find_root(&root, path->root))
		return 1;
	(void)snprintf(bus, sizeof(bus), "0000:%02x", path->root);
	len = strlen(dir);
	for (unsigned int i = 0; i < path->n; i++) {
		len += (size_t)snprintf(dir + len, sizeof(root.dir) - len, "/%s:%02x.%x", bus,
					path->hops[i].slot, path->hops[i].function);
		if (len >= sizeof(root.dir))
			return error_set(err, ERROR_INTERNAL,
					 "the device's path in sysfs is too long");
		if (i + 1 < path->n) {
			int r = bus_behind(sysfd, dir, bus);

			if (r < 0)
				return error_set(err, ERROR_INTERNAL,
						 "more than one bus behind PCI bridge %s", dir);
			if (r)
				return r;
		}
	}
	if (fstatat(sysfd, dir, &st, 0) < 0)
		return 1;
	if ((size_t)snprintf(out, size, "%s", dir) >= size)
		return error_set(err, ERROR_INTERNAL, "the device's path in sysfs is too long");
	return 0;
}
