/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk disks of s390x by their device number, "0.SET.NUMBER": channel subsystem 0, a
 * subchannel set from 0 to 3, and up to four hexadecimal digits. */
#include <stdio.h>
#include <string.h>

#include "agent/device/kind.h"
#include "agent/device/sysfs.h"
#include "lib/parse.h"

static int
ccw_parse(const char *text, struct device_address *out, struct error *err)
{
	const char *number = text + strlen("0.S.");
	uint64_t v;

	if (strncmp(text, "0.", 2) != 0 || text[2] < '0' || text[2] > '3' || text[3] != '.' ||
	    strlen(number) > 4 || strspn(number, "0123456789abcdefABCDEF") != strlen(number) ||
	    !parse_hex(number, &v))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid CCW device \"%.64s\": expected 0.<0-3>.<hexadecimal>",
				 text);
	(void)snprintf(out->name, sizeof(out->name), "0.%c.%04x", text[2], (unsigned int)v);
	return 0;
}

static int
ccw_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	 struct error *err)
{
	char dir[128];

	(void)err;
	(void)snprintf(dir, sizeof(dir), "bus/ccw/devices/%s", a->name);
	return !sysfs_virtio_disk(roots->sys, dir, name, DEVICE_NODE_MAX - 5);
}

const struct device_kind device_ccw = {
	.what = "CCW disk",
	.parse = ccw_parse,
	.look = ccw_look,
	.is_disk = true,
};
