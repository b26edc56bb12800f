/* SPDX-License-Identifier: Apache-2.0 */
/* Grows a mounted btrfs on a single device: BTRFS_IOC_RESIZE (linux/btrfs.h). */
#include <errno.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "agent/storage/grow.h"

#define BTRFS_MAGIC 0x9123683E
#define IDS_MAX     1024u

/* Finds the only device; its id is not necessarily 1, since others may have been removed. */
static int
find_device(const struct grow *g, struct btrfs_ioctl_dev_info_args *device, struct error *err)
{
	struct btrfs_ioctl_fs_info_args fs = { 0 };

	if (ioctl(g->fd, BTRFS_IOC_FS_INFO, &fs) < 0)
		return error_sys(err, "failed to read the btrfs file system's properties");
	if (fs.num_devices != 1)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "btrfs has %llu devices: only a single device can be grown",
				 (unsigned long long)fs.num_devices);
	for (uint64_t id = 1; id <= fs.max_id && id <= IDS_MAX; id++) {
		memset(device, 0, sizeof(*device));
		device->devid = id;
		if (ioctl(g->fd, BTRFS_IOC_DEV_INFO, device) == 0)
			return 0;
		if (errno != ENODEV)
			return error_sys(err, "failed to read the btrfs device's properties");
	}
	return error_set(err, ERROR_INTERNAL, "failed to find the device of btrfs");
}

static int
look_btrfs(struct grow *g, struct error *err)
{
	static const char dev[] = "/dev/";
	struct btrfs_ioctl_dev_info_args device;
	struct stat st;
	char *path;

	if (find_device(g, &device, err) < 0)
		return -1;
	path = (char *)device.path;
	path[sizeof(device.path) - 1] = '\0';
	if (strncmp(path, dev, strlen(dev)) != 0 ||
	    fstatat(g->roots->dev, path + strlen(dev), &st, 0) < 0 || !S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INTERNAL, "device \"%.128s\" of btrfs does not exist",
				 path);
	g->device = st.st_rdev;
	g->block = 4096;
	g->size = device.total_bytes;
	g->id = (uint32_t)device.devid;
	return 0;
}

static int
grow_btrfs_to(const struct grow *g, uint64_t to, struct error *err)
{
	struct btrfs_ioctl_vol_args args = { 0 };

	(void)snprintf(args.name, sizeof(args.name), "%u:%llu", g->id, (unsigned long long)to);
	if (ioctl(g->fd, BTRFS_IOC_RESIZE, &args) < 0)
		return error_sys(err, "failed to grow btrfs");
	return 0;
}

const struct grow_fs grow_btrfs = {
	.name = "btrfs",
	.magic = BTRFS_MAGIC,
	.look = look_btrfs,
	.grow = grow_btrfs_to,
};
