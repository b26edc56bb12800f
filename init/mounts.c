/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of boot mounts, one row each. Called once by init before any file system is needed. A
 * failure is not fatal: the guest can do without single mounts.
 */
#include "init/mounts.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#ifndef MQUEUE_MAGIC
/* From ipc/mqueue.c of the kernel. */
#define MQUEUE_MAGIC 0x19800202
#endif

#define MOUNT_DATA_MAX 3

struct boot_mount {
	const char *type, *source, *target;
	/* MS_* of mount(2). */
	unsigned long flags;
	/* Tried in this order; a kernel that does not know an option fails with EINVAL. */
	const char *data[MOUNT_DATA_MAX];
	/* f_type of statfs(2), to detect that it is already mounted. */
	long magic;
	/* Do not warn if the kernel lacks this file system. */
	bool is_optional;
};

#define NOSUID_NODEV        (MS_NOSUID | MS_NODEV)
#define NOSUID_NODEV_NOEXEC (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct boot_mount boot_mounts[] = {
	{ "proc", "proc", "/proc", NOSUID_NODEV_NOEXEC, { "" }, PROC_SUPER_MAGIC, false },
	{ "sysfs", "sysfs", "/sys", NOSUID_NODEV_NOEXEC, { "" }, SYSFS_MAGIC, false },
	{ "devtmpfs", "dev", "/dev", MS_NOSUID, { "mode=0755" }, TMPFS_MAGIC, false },
	{ "devpts",
	  "devpts",
	  "/dev/pts",
	  MS_NOSUID | MS_NOEXEC,
	  { "mode=0620,ptmxmode=0666,gid=5" },
	  DEVPTS_SUPER_MAGIC,
	  false },
	{ "tmpfs", "tmpfs", "/dev/shm", NOSUID_NODEV, { "mode=1777" }, TMPFS_MAGIC, false },
	{ "mqueue", "mqueue", "/dev/mqueue", NOSUID_NODEV_NOEXEC, { "" }, MQUEUE_MAGIC, true },
	{ "tmpfs", "tmpfs", "/run", NOSUID_NODEV, { "mode=0755" }, TMPFS_MAGIC, false },
	{ "tmpfs", "tmpfs", "/tmp", NOSUID_NODEV, { "mode=1777" }, TMPFS_MAGIC, false },
	{ "cgroup2",
	  "cgroup2",
	  "/sys/fs/cgroup",
	  NOSUID_NODEV_NOEXEC | MS_RELATIME,
	  { "nsdelegate,memory_recursiveprot", "nsdelegate", "" },
	  CGROUP2_SUPER_MAGIC,
	  false },
};

static int mounts_mount_row(const struct boot_mount *m);
static bool mounts_is_mounted(const struct boot_mount *m);

int
mounts_boot(void)
{
	int failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(boot_mounts); i++)
		failed += mounts_mount_row(&boot_mounts[i]) < 0;
	return failed;
}

static int
mounts_mount_row(const struct boot_mount *m)
{
	const char *data = "";

	if (mounts_is_mounted(m))
		return 0;
	if (mkdir(m->target, 0755) < 0 && errno != EEXIST) {
		log_warn("mounts", "failed to create mount point %s: %s", m->target,
			 strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < MOUNT_DATA_MAX && m->data[i]; i++) {
		data = m->data[i];
		if (mount(m->source, m->target, m->type, m->flags, data) == 0)
			return 0;
		if (errno != EINVAL)
			break;
	}
	/* The same file system is already mounted there. */
	if (errno == EBUSY)
		return 0;
	if (errno == ENODEV && m->is_optional) {
		log_debug("mounts", "this kernel has no %s for %s", m->type, m->target);
		return 0;
	}
	log_warn("mounts", "failed to mount %s on %s (options \"%s\"): %s", m->type, m->target,
		 data, strerror(errno));
	return -1;
}

/* Returns whether target is already a mount of the right type: the kernel mounts devtmpfs on a disk
 * root, and an earlier init may have mounted more. */
static bool
mounts_is_mounted(const struct boot_mount *m)
{
	struct stat here, parent;
	struct statfs fs;
	char up[64];

	if (strlen(m->target) + sizeof("/..") > sizeof(up))
		return false;
	(void)memcpy(up, m->target, strlen(m->target));
	(void)memcpy(up + strlen(m->target), "/..", sizeof("/.."));
	return stat(m->target, &here) == 0 && stat(up, &parent) == 0 &&
	       here.st_dev != parent.st_dev && statfs(m->target, &fs) == 0 &&
	       (unsigned long)fs.f_type == (unsigned long)m->magic;
}
