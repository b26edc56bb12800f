/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mmio disks by the name of their platform device: "virtio-mmio.3" from the kernel's command
 * line, "LNRO0005:03" from ACPI, "a003e00.virtio_mmio" from a device tree.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/kind.h"
#include "agent/device/sysfs.h"

static int
mmio_parse(const char *text, struct device_address *out, struct error *err)
{
	size_t n = strlen(text);
	bool is_name = n > 0 && n < sizeof(out->name) && isalnum((unsigned char)text[0]);

	for (size_t i = 0; is_name && i < n; i++)
		is_name = isalnum((unsigned char)text[i]) || strchr("-_.:", text[i]);
	if (!is_name)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid virtio-mmio disk \"%.64s\": expected /dev/<name> or the "
				 "name of a platform device",
				 text);
	memcpy(out->name, text, n + 1);
	return 0;
}

static int
mmio_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	  struct error *err)
{
	char dir[128];

	(void)err;
	(void)snprintf(dir, sizeof(dir), "bus/platform/devices/%s", a->name);
	return !sysfs_virtio_disk(roots->sys, dir, name, DEVICE_NODE_MAX - 5);
}

const struct device_kind device_mmio = {
	.what = "virtio-mmio disk",
	.parse = mmio_parse,
	.look = mmio_look,
	.is_disk = true,
};
