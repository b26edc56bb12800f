/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of an initramfs, bound over itself. Called once by init, first of all. Never leaves a root
 * that is half way between the two.
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

/* An initramfs is unpacked into a ramfs or a tmpfs. Some other tmpfs as root is taken for one too, which
 * costs a mount and harms nothing. */
static bool
is_memory_root(void)
{
	struct statfs fs;

	return statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* Steps into the mount that dirfd is the root of. */
static int
enter(int dirfd, struct error *err)
{
	if (fchdir(dirfd) < 0)
		return error_sys(err, "enter the new root");
	if (chroot(".") < 0)
		return error_sys(err, "chroot to the new root");
	return 0;
}

/* Kernels since 5.2: no directory is needed to hold the mount in between. */
static int
move_detached(struct error *err)
{
	auto_close int tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return error_sys(err, "clone the mount of /");
	if (sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_sys(err, "move the bind mount of / over /");
	return enter(tree, err);
}

static int
move_bound(struct error *err)
{
	static const char between[] = "/.root";
	auto_close int fd = -1;
	int r = -1;

	if (mkdir(between, 0700) < 0 && errno != EEXIST)
		return error_sys(err, "create %s", between);
	if (mount("/", between, NULL, MS_BIND, NULL) < 0) {
		(void)error_sys(err, "bind / on %s", between);
	} else {
		fd = open(between, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			(void)error_sys(err, "open %s", between);
		else if (mount(between, "/", NULL, MS_MOVE, NULL) < 0)
			(void)error_sys(err, "move the bind mount of / over /");
		else
			r = enter(fd, err);
		if (r < 0)
			(void)umount2(between, MNT_DETACH);
	}
	(void)rmdir(between);
	return r;
}

int
root_prepare(bool *moved, struct error *err)
{
	*moved = false;
	if (is_memory_root()) {
		if (move_detached(err) < 0 && move_bound(err) < 0)
			return -1;
		*moved = true;
		err->code = ERROR_OK;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_sys(err, "make all mounts private");
	return 0;
}
