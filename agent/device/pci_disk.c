/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk disks by their PCI path. */
#include "agent/device/kind.h"
#include "agent/device/sysfs.h"

static int
pci_disk_parse(const char *text, struct device_address *out, struct error *err)
{
	return pci_path_parse(text, &out->pci, err);
}

static int
pci_disk_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	      struct error *err)
{
	char dir[512];
	int r = pci_path_resolve(roots->sys, &a->pci, dir, sizeof(dir), err);

	return r ? r : !sysfs_virtio_disk(roots->sys, dir, name, DEVICE_NODE_MAX - 5);
}

const struct device_kind device_pci_disk = {
	.what = "block device",
	.parse = pci_disk_parse,
	.look = pci_disk_look,
	.is_disk = true,
};
