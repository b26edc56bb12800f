/* SPDX-License-Identifier: Apache-2.0 */
/* Disks by their node, "/dev/<name>". */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/device/kind.h"

static int
node_parse(const char *text, struct device_address *out, struct error *err)
{
	static const char dev[] = "/dev/";
	const char *name = text + strlen(dev);

	if (strncmp(text, dev, strlen(dev)) != 0 || !*name || *name == '.' || strchr(name, '/') ||
	    strlen(text) >= DEVICE_NODE_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid block device \"%.80s\": expected /dev/<name>", text);
	(void)snprintf(out->name, sizeof(out->name), "%.*s", DEVICE_NODE_MAX - 1, name);
	return 0;
}

static int
node_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	  struct error *err)
{
	struct stat st;

	(void)err;
	memcpy(name, a->name, DEVICE_NODE_MAX);
	return fstatat(roots->dev, name, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

const struct device_kind device_node = {
	.what = "block device",
	.parse = node_parse,
	.look = node_look,
	.is_disk = true,
};
