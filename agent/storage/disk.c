/* SPDX-License-Identifier: Apache-2.0 */
/* A file system on a disk, on any bus of agent/device/bus.c; the source is the disk's address
 * there. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/device/bus.h"
#include "agent/job/subprocess.h"
#include "agent/storage/disk_stack.h"
#include "agent/storage/driver.h"
#include "lib/cleanup.h"

#define MKFS_TIMEOUT_MS 120000
#define MKFS_ARGS       12

/* Formats with something special; all others are left to the kernel. */
static const struct format {
	const char *fstype;
	/* Never written: mounted with "ro", without which the kernel refuses a read-only disk. */
	bool is_read_only;
	/* Makes an empty file system, with the node appended; NULL: there is no way. */
	const char *mkfs[MKFS_ARGS];
} formats[] = {
	{ .fstype = "btrfs", .mkfs = { "/sbin/mkfs.btrfs", "-q", "-f" } },
	{ .fstype = "erofs", .is_read_only = true },
	{ .fstype = "ext4",
	  .mkfs = { "/sbin/mkfs.ext4", "-F", "-O", "^has_journal", "-m", "0", "-i", "163840", "-I",
		    "128" } },
	{ .fstype = "squashfs", .is_read_only = true },
	{ .fstype = "xfs", .mkfs = { "/sbin/mkfs.xfs", "-q", "-f" } },
};

static const struct format *
format_of(const struct storage_spec *spec)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (strcmp(formats[i].fstype, spec->fstype) == 0)
			return &formats[i];
	return NULL;
}

static bool
has_driver_option(const struct storage_spec *spec, const char *option)
{
	for (size_t i = 0; i < spec->n_driver_options; i++)
		if (strcmp(spec->driver_options[i], option) == 0)
			return true;
	return false;
}

static int
disk_check(const struct storage_spec *spec, struct error *err)
{
	const struct format *format = format_of(spec);
	struct device_address ignored;

	if (!*spec->fstype)
		return error_set(err, ERROR_INVALID_ARGUMENT, "storage %s: %s requires an fstype",
				 spec->mount_point, spec->driver);
	if (device_bus_parse(device_bus_find(spec->driver), spec->source, &ignored, err) < 0)
		return error_wrap(err, "storage %s", spec->mount_point);
	/* Without a key service the data would be written in plain text. */
	if (has_driver_option(spec, "encryption_key=ephemeral"))
		return error_set(
			err, ERROR_FAILED_PRECONDITION,
			"storage %s: encryption_key=ephemeral requires the confidential data hub",
			spec->mount_point);
	if (has_driver_option(spec, "create_filesystem") && !(format && format->mkfs[0]))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: create_filesystem supports btrfs, ext4 and xfs, not "
				 "%.64s",
				 spec->mount_point, spec->fstype);
	return disk_stack_check(spec, err);
}

static int
make_filesystem(struct worker *w, const struct format *format, const char *node, struct error *err)
{
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const char *argv[MKFS_ARGS + 2] = { NULL };
	char out[256];
	size_t n = 0;
	int status;

	for (; n < MKFS_ARGS && format->mkfs[n]; n++)
		argv[n] = format->mkfs[n];
	argv[n] = node;
	if (worker_run(w, argv, envp, NULL, out, sizeof(out), MKFS_TIMEOUT_MS, &status, err) < 0)
		return error_wrap(err, "failed to create a file system on %s", node);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INTERNAL,
				 "failed to create a file system on %s: mkfs.%s: %s", node,
				 format->fstype, out);
	return 0;
}

static int
mount_disk(struct worker *w, const struct storage_mount *m, struct error *err)
{
	static const char *const read_only[] = { "ro", NULL };
	const struct format *format = format_of(m->spec);
	char node[DISK_STACK_NODE_MAX];
	const struct storage_source source = {
		.name = node,
		.type = m->spec->fstype,
		.extra = format && format->is_read_only ? read_only : NULL,
	};

	if (disk_stack_open(w, m, node, err) < 0)
		return -1;
	if (has_driver_option(m->spec, "create_filesystem") &&
	    make_filesystem(w, format, node, err) < 0)
		return -1;
	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_disk = {
	.name = "disk",
	.is_disk = true,
	.check = disk_check,
	.mount = mount_disk,
	.unmounted = disk_stack_close,
};
