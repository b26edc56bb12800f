/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the directories through which the agent works. */
#include "agent/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/magic.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/path.h"
#include "lib/sys.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY)

static int roots_open_proc(struct error *err);
static int roots_open_run(struct error *err);
static int roots_open_cgroup(void);

static int
roots_open_dir(const char *path, int flags, struct error *err)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? error_sys(err, "failed to open %s", path) : fd;
}

int
roots_open(struct roots *roots, struct error *err)
{
	*roots = (struct roots){ -1, -1, -1, -1, -1, -1 };
	roots->proc = roots_open_proc(err);
	if (roots->proc >= 0)
		roots->sys = roots_open_dir("/sys", DIR_FLAGS, err);
	if (roots->sys >= 0)
		roots->dev = roots_open_dir("/dev", DIR_FLAGS, err);
	if (roots->dev >= 0)
		roots->root = roots_open_dir("/", O_PATH | O_DIRECTORY, err);
	if (roots->root >= 0)
		roots->run = roots_open_run(err);
	if (roots->run < 0) {
		roots_close(roots);
		return -1;
	}
	roots->cgroup = roots_open_cgroup();
	return 0;
}

/* Makes a detached procfs, so that nothing can be mounted over its files. Opens /proc if the kernel
 * or the agent's privileges do not allow it. */
static int
roots_open_proc(struct error *err)
{
	auto_close int fs = sys_fsopen("proc", FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs >= 0 && sys_fsconfig(fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = sys_fsmount(fs, FSMOUNT_CLOEXEC,
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd >= 0)
		return fd;
	log_info("agent", "failed to create a private procfs, using /proc: %s", strerror(errno));
	return roots_open_dir("/proc", DIR_FLAGS, err);
}

/* Opens the run directory, on a tmpfs so that the agent's own writes never wait for a disk or a
 * share. */
static int
roots_open_run(struct error *err)
{
	auto_close int fd = -1;

	if (mkdir("/run", 0755) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create /run");
	if (mkdir(RUN_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create " RUN_DIR);
	fd = roots_open_dir(RUN_DIR, DIR_FLAGS | O_NOFOLLOW, err);
	if (fd < 0)
		return -1;
	if (fd_is_fstype(fd, TMPFS_MAGIC) || fd_is_fstype(fd, RAMFS_MAGIC))
		return steal_fd(&fd);
	if (mount("tmpfs", RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0) {
		log_warn("agent", "failed to mount a tmpfs on " RUN_DIR ": %s", strerror(errno));
		return steal_fd(&fd);
	}
	return roots_open_dir(RUN_DIR, DIR_FLAGS | O_NOFOLLOW, err);
}

/* Opens the cgroup v2 hierarchy, also if v1 is mounted at the usual place. Returns -1 if there is
 * none. */
static int
roots_open_cgroup(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		auto_close int fd = open(places[i], DIR_FLAGS | O_CLOEXEC);

		if (fd >= 0 && fd_is_fstype(fd, CGROUP2_SUPER_MAGIC))
			return steal_fd(&fd);
	}
	log_warn("agent", "no cgroup v2 hierarchy found: containers have no limits");
	return -1;
}

void
roots_close(struct roots *roots)
{
	close_fd(&roots->proc);
	close_fd(&roots->sys);
	close_fd(&roots->dev);
	close_fd(&roots->cgroup);
	close_fd(&roots->run);
	close_fd(&roots->root);
}

int
roots_open_path(const struct roots *roots, const char *path)
{
	const size_t run = strlen(RUN_DIR);

	if (strncmp(path, RUN_DIR, run) == 0 && (path[run] == '/' || path[run] == '\0'))
		return path_try_open(roots->run, path[run] ? path + run : ".", O_PATH, 0,
				     PATH_FOLLOW_NONE);
	return path_open_trusted(roots->root, path);
}
