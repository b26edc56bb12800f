/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a container's /dev. Names are resolved below dev_fd, as single components or
 * confined to it. */
#include "agent/container/rootfs/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mounts.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"

/* The devices of every container, unless the spec overrides them
 * (Documentation/admin-guide/devices.txt). */
static const struct {
	const char *name;
	unsigned int major, minor;
} defaults[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 },   { "full", 1, 7 },
	{ "tty", 5, 0 },  { "random", 1, 8 }, { "urandom", 1, 9 },
};

static const struct {
	const char *name, *target;
	/* Replaces an existing entry of the image; otherwise that is kept. */
	bool replace;
} links[] = {
	{ "fd", "/proc/self/fd", false },       { "stdin", "/proc/self/fd/0", false },
	{ "stdout", "/proc/self/fd/1", false }, { "stderr", "/proc/self/fd/2", false },
	{ "ptmx", "pts/ptmx", true },
};

struct node {
	/* Relative to /dev. */
	const char *path;
	/* Type and permissions. */
	mode_t mode;
	dev_t number;
	uid_t uid;
	gid_t gid;
};

static int devices_store_nodes(int store, const struct devices *d, const struct ns_maps *maps,
			       struct error *err);
static int devices_node_at(const struct devices *d, size_t i, struct node *out, struct error *err);
static int devices_make_links(int dev_fd, const struct roots *roots, struct error *err);
static int devices_make_nodes(int dev_fd, const struct devices *d, struct error *err);
static int devices_make_node(int dev_fd, const struct node *node, struct error *err);

const char *
device_name(const char *path)
{
	const char *name, *part;

	if (strncmp(path, "/dev/", 5) != 0)
		return NULL;
	name = path + 5;
	for (part = name;; part = strchr(part, '/') + 1) {
		size_t n = strcspn(part, "/");

		if (!n || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return NULL;
		if (!part[n])
			return name;
	}
}

int
devices_new_store(struct error *err)
{
	return mount_new_fs("tmpfs", NULL, NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

int
devices_store(int store, const struct devices *d, const struct ns_maps *maps, struct error *err)
{
	mode_t mask = umask(0);
	int r = devices_store_nodes(store, d, maps, err);

	(void)umask(mask);
	return r;
}

/* Makes a node and sets its owner. The umask must be 0. */
static int
devices_put_node(int dir, const char *name, const struct node *node, struct error *err)
{
	if (mknodat(dir, name, node->mode, node->number) < 0)
		return error_sys(err, "failed to create device %s", node->path);
	if ((node->uid || node->gid) &&
	    fchownat(dir, name, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to change the owner of device %s to %u:%u",
				 node->path, node->uid, node->gid);
	return 0;
}

static int
devices_store_nodes(int store, const struct devices *d, const struct ns_maps *maps,
		    struct error *err)
{
	struct node node;
	int more;

	for (size_t i = 0; (more = devices_node_at(d, i, &node, err)) > 0; i++) {
		char name[16];

		if (!node.path)
			continue;
		if (!ns_map_find(&maps->uid, node.uid, &node.uid) ||
		    !ns_map_find(&maps->gid, node.gid, &node.gid))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.devices: /dev/%.128s: owner %u:%u is not mapped",
					 node.path, node.uid, node.gid);
		(void)snprintf(name, sizeof(name), "%zu", i);
		if (devices_put_node(store, name, &node, err) < 0)
			return -1;
	}
	return more;
}

static mode_t
devices_type_of(const char *type)
{
	switch (type[0]) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default:
		return S_IFCHR;
	}
}

/* Returns the permissions of a device. A mode of 0 means that none is set: the mode of the
 * guest's node is used then, if there is one. */
static mode_t
devices_mode_of(const struct roots *roots, const Grpc__LinuxDevice *d, const char *name)
{
	struct stat st;

	if (d->filemode)
		return d->filemode & 0777;
	return fstatat(roots->dev, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & 0777 : 0666;
}

/* Fills *out with node number i: the spec's devices, then the defaults. The path of a default
 * that the spec overrides is NULL. Returns 1, 0 past the last, or -1 and err. */
static int
devices_node_at(const struct devices *d, size_t i, struct node *out, struct error *err)
{
	size_t n = d->linux->n_devices;
	const Grpc__LinuxDevice *spec;

	if (i >= n + ARRAY_LEN(defaults))
		return 0;
	if (i >= n) {
		*out = (struct node){ .path = defaults[i - n].name };
		out->mode = S_IFCHR | 0666;
		out->number = makedev(defaults[i - n].major, defaults[i - n].minor);
		for (size_t k = 0; k < n; k++) {
			const char *name = device_name(d->linux->devices[k]->path);

			if (name && strcmp(name, defaults[i - n].name) == 0)
				out->path = NULL;
		}
		return 1;
	}
	spec = d->linux->devices[i];
	*out = (struct node){ .path = device_name(spec->path) };
	if (!out->path)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.devices: invalid path \"%.128s\"", spec->path);
	if (strlen(out->path) > NAME_MAX && !strchr(out->path, '/'))
		return error_set(err, ERROR_INVALID_ARGUMENT, "linux.devices: name is too long");
	out->mode = devices_type_of(spec->type) | devices_mode_of(d->roots, spec, out->path);
	if (!S_ISFIFO(out->mode))
		out->number = makedev((unsigned int)spec->major, (unsigned int)spec->minor);
	out->uid = spec->uid;
	out->gid = spec->gid;
	return 1;
}

int
devices_make(int dev_fd, const struct devices *d, struct error *err)
{
	if (devices_make_links(dev_fd, d->roots, err) < 0)
		return -1;
	return devices_make_nodes(dev_fd, d, err);
}

static int
devices_make_links(int dev_fd, const struct roots *roots, struct error *err)
{
	if (faccessat(roots->proc, "kcore", F_OK, 0) == 0)
		(void)symlinkat("/proc/kcore", dev_fd, "core");
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		if (symlinkat(links[i].target, dev_fd, links[i].name) == 0)
			continue;
		if (errno == EEXIST && !links[i].replace)
			continue;
		if (errno == EEXIST && unlinkat(dev_fd, links[i].name, 0) == 0 &&
		    symlinkat(links[i].target, dev_fd, links[i].name) == 0)
			continue;
		return error_sys(err, "failed to create link /dev/%s", links[i].name);
	}
	return 0;
}

/* Binds one of the store's nodes over an empty file. */
static int
devices_attach_node(int dev_fd, int store, const char *name, const struct node *node,
		    struct error *err)
{
	auto_close int tree = sys_open_tree(
		store, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	auto_close int at = tree < 0 ? -1 : path_make_target(dev_fd, node->path, false, 0666, err);

	if (tree < 0)
		error_sys(err, "failed to open device %s", node->path);
	if (tree < 0 || at < 0 || mount_attach(tree, at, node->path, err) < 0)
		return error_wrap(err, "failed to create device %s", node->path);
	return 0;
}

static int
devices_make_nodes(int dev_fd, const struct devices *d, struct error *err)
{
	struct node node;
	int more;

	for (size_t i = 0; (more = devices_node_at(d, i, &node, err)) > 0; i++) {
		char name[16];

		if (!node.path)
			continue;
		(void)snprintf(name, sizeof(name), "%zu", i);
		if (d->store >= 0 ? devices_attach_node(dev_fd, d->store, name, &node, err) < 0
				  : devices_make_node(dev_fd, &node, err) < 0)
			return -1;
	}
	return more;
}

/* Makes a node in a directory. An existing one must be the same device; it is replaced if mode or
 * owner differ. */
static int
devices_make_node_in(int dir, const char *name, const struct node *node, struct error *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return devices_put_node(dir, name, node, err);
	if ((st.st_mode & S_IFMT) != (node->mode & S_IFMT) ||
	    (!S_ISFIFO(st.st_mode) && st.st_rdev != node->number))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to create device %s: another file exists at this path",
				 node->path);
	if ((st.st_mode & 07777) == (node->mode & 07777) && st.st_uid == node->uid &&
	    st.st_gid == node->gid)
		return 0;
	if (unlinkat(dir, name, 0) < 0)
		return error_sys(err, "failed to replace device %s", node->path);
	return devices_put_node(dir, name, node, err);
}

static int
devices_make_node(int dev_fd, const struct node *node, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_close int dir = -1;

	if (!strchr(node->path, '/'))
		return devices_make_node_in(dev_fd, node->path, node, err);
	dir = path_open_parent(dev_fd, node->path, true, 0755, name, err);
	if (dir < 0)
		return error_wrap(err, "failed to create device %s", node->path);
	return devices_make_node_in(dir, name, node, err);
}

int
devices_null(const struct roots *roots, struct error *err)
{
	auto_close int fd = sys_open_tree(
		roots->dev, "null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "failed to open the guest's /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_set(err, ERROR_INTERNAL, "the guest's /dev/null is not a null device");
	/* Containers get this mount and must not change the guest's node through it. */
	if (mount_set(fd, MOUNT_ATTR_RDONLY, 0, 0, false, err) < 0)
		return -1;
	return steal_fd(&fd);
}
