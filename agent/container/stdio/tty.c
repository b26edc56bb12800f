/* SPDX-License-Identifier: Apache-2.0 */
/* Ptys. The container controls /dev/ptmx and /dev/pts, so file system type and device number are
 * checked, and the slave is opened through the master (ioctl_tty(2), TIOCGPTPEER). */
#include "agent/container/stdio/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container/rootfs/mounts.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static int tty_open_ptmx(int root_fd, const char *path);

bool
tty_has_own(int root_fd)
{
	auto_close int fd = tty_open_ptmx(root_fd, "dev/pts");

	return fd >= 0;
}

/* Opens the ptmx of the devpts mounted at `path` below root_fd. Returns an fd, or -1. */
static int
tty_open_ptmx(int root_fd, const char *path)
{
	auto_close int dir =
		path_try_open(root_fd, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	auto_close int fd = -1;
	struct stat st;

	if (dir < 0 || !fd_is_fstype(dir, DEVPTS_SUPER_MAGIC))
		return -1;
	fd = openat(dir, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !fd_is_fstype(fd, DEVPTS_SUPER_MAGIC) || fstat(fd, &st) < 0 ||
	    !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return -1;
	return steal_fd(&fd);
}

int
tty_open(int root_fd, const struct roots *roots, int *master, int *slave, struct error *err)
{
	auto_close int fd = tty_open_ptmx(root_fd, "dev/pts");
	int unlock = 0, peer;

	if (fd < 0 && roots->dev >= 0)
		fd = tty_open_ptmx(roots->dev, "pts");
	if (fd < 0)
		return error_set(
			err, ERROR_INTERNAL,
			"failed to allocate a terminal: neither container nor guest has a devpts");
	if (ioctl(fd, TIOCSPTLCK, &unlock) < 0)
		return error_sys(err, "failed to unlock the terminal");
	peer = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return error_sys(err, "failed to open the terminal");
	*master = steal_fd(&fd);
	*slave = peer;
	return 0;
}

void
tty_resize(int fd, const Grpc__Box *size)
{
	struct winsize ws = { 0 };

	if (!size || !size->height || !size->width)
		return;
	ws.ws_row = (unsigned short)(size->height < UINT16_MAX ? size->height : UINT16_MAX);
	ws.ws_col = (unsigned short)(size->width < UINT16_MAX ? size->width : UINT16_MAX);
	/* The size is not essential: errors are ignored. */
	(void)ioctl(fd, TIOCSWINSZ, &ws);
}

int
tty_console(int dev_fd, int slave, struct error *err)
{
	auto_close int at = path_make_target(dev_fd, "console", false, 0600, err);
	auto_close int tree = -1;

	if (at < 0)
		return -1;
	tree = sys_open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	/* A pty of the guest's devpts cannot be cloned: it is in another mount namespace. */
	if (tree < 0 && errno == EINVAL)
		return 0;
	if (tree < 0)
		return error_sys(err, "failed to clone the terminal for /dev/console");
	return mount_attach(tree, at, "/dev/console", err);
}
