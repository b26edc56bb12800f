/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths. Sources and destinations are only used through descriptors, so
 * that the content of the container's root cannot redirect a mount. */
#include "agent/container/rootfs/masks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mounts.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"

#define EMPTY_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* A mount that masks paths. The first path gets the mount itself, further paths get clones. */
struct mask {
	/* A detached mount until `attached`. */
	int tree;
	bool attached;
};

static int masks_open_existing(int root_fd, const char *path, int *fd, struct error *err);
static int masks_cover(struct mask *mask, int at, const char *path, struct error *err);

int
masks_apply(int root_fd, char *const *paths, size_t n, int *null_tree, struct error *err)
{
	auto_close int null_fd = steal_fd(null_tree);
	auto_close int empty_fd = -1;
	struct mask null_mask = { .tree = null_fd }, empty_mask = { .tree = -1 };

	for (size_t i = 0; i < n; i++) {
		auto_close int at = -1;
		struct stat st;
		int found = masks_open_existing(root_fd, paths[i], &at, err);

		if (found == 0)
			continue;
		if (found < 0 || fstat(at, &st) < 0)
			return error_wrap(err, "failed to mask %s", paths[i]);
		if (S_ISDIR(st.st_mode) && empty_fd < 0) {
			empty_fd = mount_new_fs("tmpfs", NULL, NULL, EMPTY_ATTRS, err);
			if (empty_fd < 0)
				return error_wrap(err, "failed to mask %s", paths[i]);
			empty_mask.tree = empty_fd;
		}
		if (masks_cover(S_ISDIR(st.st_mode) ? &empty_mask : &null_mask, at, paths[i], err) <
		    0)
			return error_wrap(err, "failed to mask %s", paths[i]);
	}
	return 0;
}

/* Opens a path that may be missing. Returns 1, 0 if it is missing, or -1 and err. */
static int
masks_open_existing(int root_fd, const char *path, int *fd, struct error *err)
{
	*fd = path_try_open(root_fd, path, O_PATH, 0, PATH_FOLLOW_ALL);
	if (*fd >= 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return error_sys(err, "failed to open %s", path);
}

static int
masks_cover(struct mask *mask, int at, const char *path, struct error *err)
{
	auto_close int clone = -1;

	if (mask->attached) {
		clone = sys_open_tree(mask->tree, "",
				      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (clone < 0)
			return error_sys(err, "failed to clone the mask");
	}
	if (mount_attach(clone >= 0 ? clone : mask->tree, at, path, err) < 0)
		return -1;
	mask->attached = true;
	return 0;
}

int
readonly_apply(int root_fd, char *const *paths, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		auto_close int at = -1;
		auto_close int tree = -1;
		int found = masks_open_existing(root_fd, paths[i], &at, err);

		if (found == 0)
			continue;
		if (found < 0)
			return error_wrap(err, "failed to make %s read-only", paths[i]);
		tree = sys_open_tree(
			at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
		if (tree < 0)
			return error_sys(err, "failed to make %s read-only", paths[i]);
		if (mount_set(tree, MOUNT_ATTR_RDONLY, 0, 0, true, err) < 0 ||
		    mount_attach(tree, at, paths[i], err) < 0)
			return error_wrap(err, "failed to make %s read-only", paths[i]);
	}
	return 0;
}
