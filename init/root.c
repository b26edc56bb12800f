/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bind-mounts the root of an initramfs over itself. Called by init once, before all other steps. On
 * failure the root is unchanged.
 */
#include "init/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"

static bool root_is_memory_root(void);
static int root_move_detached(struct error *err);
static int root_move_bound(struct error *err);

int
root_prepare(bool *moved, struct error *err)
{
	*moved = false;
	if (root_is_memory_root()) {
		if (root_move_detached(err) < 0 && root_move_bound(err) < 0)
			return -1;
		*moved = true;
		err->code = ERROR_OK;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_sys(err, "failed to make all mounts private");
	return 0;
}

/* An initramfs is a ramfs or a tmpfs. Another tmpfs as root is treated as one, too, which costs
 * only a mount. */
static bool
root_is_memory_root(void)
{
	struct statfs fs;

	return statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* Makes the mount whose root is dirfd the root and working directory. */
static int
root_enter(int dirfd, struct error *err)
{
	if (fchdir(dirfd) < 0)
		return error_sys(err, "failed to enter the new root");
	if (chroot(".") < 0)
		return error_sys(err, "failed to chroot to the new root");
	return 0;
}

/* Since Linux 5.2 no directory is needed for the intermediate mount. */
static int
root_move_detached(struct error *err)
{
	auto_close int tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return error_sys(err, "failed to clone the mount of /");
	if (sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_sys(err, "failed to move the bind mount of / over /");
	return root_enter(tree, err);
}

static int
root_move_bound(struct error *err)
{
	static const char between[] = "/.root";
	auto_close int fd = -1;
	int r = -1;

	if (mkdir(between, 0700) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create %s", between);
	if (mount("/", between, NULL, MS_BIND, NULL) < 0) {
		(void)error_sys(err, "failed to bind / on %s", between);
	} else {
		fd = open(between, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			(void)error_sys(err, "failed to open %s", between);
		else if (mount(between, "/", NULL, MS_MOVE, NULL) < 0)
			(void)error_sys(err, "failed to move the bind mount of / over /");
		else
			r = root_enter(fd, err);
		if (r < 0)
			(void)umount2(between, MNT_DETACH);
	}
	(void)rmdir(between);
	return r;
}
