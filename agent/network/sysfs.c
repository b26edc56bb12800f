/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps interfaces to PCI devices and back. Reads sysfs only, through the given fd: never blocks.
 * Called by network.c on the loop, and by the workers.
 */
#include "agent/network/network_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

static bool sysfs_first_entry(int sysfd, const char *dir, const char *prefix, char *name,
			      size_t size);
static bool sysfs_is_byte(const char *s, unsigned int *out);
static bool sysfs_is_device(const char *part, size_t n, unsigned int *slot, unsigned int *function);

bool
net_find_at_path(int sysfd, const struct pci_path *path, char name[IFNAMSIZ])
{
	struct error ignored = ERROR_INIT;
	char dir[512], sub[600], virtio[48];

	if (pci_path_resolve(sysfd, path, dir, sizeof(dir), &ignored) != 0)
		return false;
	(void)snprintf(sub, sizeof(sub), "%s/net", dir);
	if (sysfs_first_entry(sysfd, sub, "", name, IFNAMSIZ))
		return true;
	if (!sysfs_first_entry(sysfd, dir, "virtio", virtio, sizeof(virtio)))
		return false;
	(void)snprintf(sub, sizeof(sub), "%s/%s/net", dir, virtio);
	return sysfs_first_entry(sysfd, sub, "", name, IFNAMSIZ);
}

/* Finds the first entry of dir with this prefix. */
static bool
sysfs_first_entry(int sysfd, const char *dir, const char *prefix, char *name, size_t size)
{
	auto_close int fd = openat(sysfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool is_found = false;
	struct dirent *e;

	if (!d)
		return false;
	/* d owns it now. */
	fd = -1;
	while (!is_found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0)
			is_found = (size_t)snprintf(name, size, "%s", e->d_name) < size;
	}
	(void)closedir(d);
	return is_found;
}

void
net_path_of(int sysfd, const char *name, char *out, size_t size)
{
	static const char begin[] = "/pci0000:";
	unsigned int root, slot, function;
	char link[64], target[512];
	size_t used = 0, n;
	const char *part;
	ssize_t len;

	out[0] = '\0';
	(void)snprintf(link, sizeof(link), "class/net/%s", name);
	len = readlinkat(sysfd, link, target, sizeof(target) - 1);
	if (len <= 0)
		return;
	target[len] = '\0';
	part = strstr(target, begin);
	if (!part || !sysfs_is_byte(part + strlen(begin), &root))
		return;
	if (root != 0)
		used = (size_t)snprintf(out, size, "%02x", root);
	part += strlen(begin) + 2;
	for (; *part == '/' && used < size; part += 1 + n) {
		n = strcspn(part + 1, "/");
		if (!sysfs_is_device(part + 1, n, &slot, &function))
			break;
		used += (size_t)snprintf(out + used, size - used, "%s%02x", used > 0 ? "/" : "",
					 slot);
		if (function && used < size)
			used += (size_t)snprintf(out + used, size - used, ".%x", function);
	}
	/* A truncated path would name another device. */
	if (used >= size)
		out[0] = '\0';
}

/* Parses two hexadecimal digits. */
static bool
sysfs_is_byte(const char *s, unsigned int *out)
{
	const char text[3] = { s[0], s[0] ? s[1] : '\0', '\0' };
	uint64_t value;

	if (strlen(text) != 2 || !parse_hex(text, &value))
		return false;
	*out = (unsigned int)value;
	return true;
}

/* Parses "0000:01:00.0", the address of a PCI device; nothing may follow. */
static bool
sysfs_is_device(const char *part, size_t n, unsigned int *slot, unsigned int *function)
{
	if (n != strlen("0000:00:00.0") || part[4] != ':' || part[7] != ':' || part[10] != '.')
		return false;
	*function = (unsigned int)(part[11] - '0');
	return sysfs_is_byte(part + 8, slot) && *function < 8;
}
