/* SPDX-License-Identifier: Apache-2.0 */
/* blk: a file system on a virtio-blk disk; the source is a PCI path or /dev/<name>. */
#include <string.h>
#include <sys/wait.h>

#include "agent/job/subprocess.h"
#include "agent/storage/disk_stack.h"
#include "agent/storage/driver.h"

#define MKFS_TIMEOUT_MS 120000

static bool
has_driver_option(const struct storage_spec *spec, const char *option)
{
	for (size_t i = 0; i < spec->n_driver_options; i++)
		if (strcmp(spec->driver_options[i], option) == 0)
			return true;
	return false;
}

static int
blk_check(const struct storage_spec *spec, struct error *err)
{
	if (!*spec->fstype)
		return error_set(err, ERROR_INVALID_ARGUMENT, "storage %s: blk requires an fstype",
				 spec->mount_point);
	/* Without a key service the data would be written in plain text. */
	if (has_driver_option(spec, "encryption_key=ephemeral"))
		return error_set(
			err, ERROR_FAILED_PRECONDITION,
			"storage %s: encryption_key=ephemeral requires the confidential data hub",
			spec->mount_point);
	if (has_driver_option(spec, "create_filesystem") && strcmp(spec->fstype, "ext4") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: create_filesystem supports ext4 only, not %.64s",
				 spec->mount_point, spec->fstype);
	return disk_stack_check(spec, err);
}

static int
make_filesystem(struct worker *w, const char *node, struct error *err)
{
	const char *const argv[] = {
		"/sbin/mkfs.ext4", "-F", "-O",  "^has_journal", "-m", "0", "-i",
		"163840",          "-I", "128", node,           NULL
	};
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	char out[256];
	int status;

	if (worker_run(w, argv, envp, NULL, out, sizeof(out), MKFS_TIMEOUT_MS, &status, err) < 0)
		return error_wrap(err, "failed to make a file system on %s", node);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INTERNAL,
				 "failed to make a file system on %s: mkfs.ext4: %s", node, out);
	return 0;
}

static int
mount_blk(struct worker *w, const struct storage_mount *m, struct error *err)
{
	char node[DISK_STACK_NODE_MAX];
	const struct storage_source source = { .name = node, .type = m->spec->fstype };

	if (disk_stack_open(w, m, node, err) < 0)
		return -1;
	if (has_driver_option(m->spec, "create_filesystem") && make_filesystem(w, node, err) < 0)
		return -1;
	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_blk = {
	.name = "blk",
	.needs_block_device = true,
	.check = blk_check,
	.mount = mount_blk,
	.unmounted = disk_stack_close,
};
