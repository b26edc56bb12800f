/* SPDX-License-Identifier: Apache-2.0 */
/* VFIO groups by their number. Their name is that below /dev. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/device/kind.h"
#include "lib/parse.h"

static int
vfio_group_parse(const char *text, struct device_address *out, struct error *err)
{
	uint32_t group;

	if (!parse_u32(text, &group))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid VFIO group \"%.32s\"", text);
	(void)snprintf(out->name, sizeof(out->name), "vfio/%u", group);
	return 0;
}

static int
vfio_group_look(const struct roots *roots, const struct device_address *a,
		char name[DEVICE_NODE_MAX], struct error *err)
{
	struct stat st;

	if (fstatat(roots->dev, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 1;
	if (!S_ISCHR(st.st_mode))
		return error_set(err, ERROR_INTERNAL, "/dev/%s is not a character device", a->name);
	(void)snprintf(name, DEVICE_NODE_MAX, "%.*s", DEVICE_NODE_MAX - 6, a->name);
	return 0;
}

const struct device_kind device_vfio_group = {
	.what = "VFIO group",
	.parse = vfio_group_parse,
	.look = vfio_group_look,
};
