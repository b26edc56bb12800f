/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
sysfs_each(int sysfd, const char *dir, sysfs_entry_fn *fn, void *data)
{
	int fd = openat(sysfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool goes_on = true;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	while (goes_on && (e = readdir(d)) != NULL)
		goes_on = e->d_name[0] == '.' || fn(e->d_name, data);
	(void)closedir(d);
	return 0;
}

struct first {
	const char *prefix;
	char *name;
	size_t size;
	bool found;
};

static bool
take_first(const char *name, void *data)
{
	struct first *f = data;

	if (strncmp(name, f->prefix, strlen(f->prefix)) != 0)
		return true;
	f->found = (size_t)snprintf(f->name, f->size, "%s", name) < f->size;
	return !f->found;
}

bool
sysfs_first(int sysfd, const char *dir, const char *prefix, char *name, size_t size)
{
	struct first f = { .prefix = prefix, .name = name, .size = size };

	return sysfs_each(sysfd, dir, take_first, &f) == 0 && f.found;
}

bool
sysfs_virtio_disk(int sysfd, const char *dir, char *name, size_t size)
{
	char sub[640], virtio[64];

	if (!sysfs_first(sysfd, dir, "virtio", virtio, sizeof(virtio)) ||
	    (size_t)snprintf(sub, sizeof(sub), "%s/%s/block", dir, virtio) >= sizeof(sub))
		return false;
	return sysfs_first(sysfd, sub, "", name, size);
}
