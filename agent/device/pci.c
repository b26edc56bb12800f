/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths. Each hop except the last is a bridge, whose bus is the only entry of its pci_bus
 * directory. */
#include "agent/device/pci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
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

/* Finds the bus behind a bridge ("0000:01"). Returns 0 if there is one, 1 if there is none yet, -1
 * if there are more. */
static int
bus_behind(int sysfd, const char *bridge, char bus[16])
{
	char path[544];
	struct dirent *e;
	DIR *dir;
	int fd, found = 0;

	(void)snprintf(path, sizeof(path), "%s/pci_bus", bridge);
	fd = openat(sysfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return 1;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(bus, 16, "%.15s", e->d_name);
		found++;
	}
	(void)closedir(dir);
	return found == 1 ? 0 : found == 0 ? 1 : -1;
}

int
pci_path_resolve(int sysfd, const struct pci_path *path, char *out, size_t size, struct error *err)
{
	char dir[512], bus[16];
	struct stat st;
	int len;

	(void)snprintf(bus, sizeof(bus), "0000:%02x", path->root);
	len = snprintf(dir, sizeof(dir), "devices/pci0000:%02x", path->root);
	for (unsigned int i = 0; i < path->n; i++) {
		len += snprintf(dir + len, sizeof(dir) - (size_t)len, "/%s:%02x.%x", bus,
				path->hops[i].slot, path->hops[i].function);
		if (len < 0 || (size_t)len >= sizeof(dir))
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
