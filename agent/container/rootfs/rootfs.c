/* SPDX-License-Identifier: Apache-2.0 */
/* Planning of a container's root file system in the worker, and setting it up in the new
 * process. */
#include "agent/container/rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/container/rootfs/devices.h"
#include "agent/container/rootfs/masks.h"
#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mounts.h"
#include "lib/cleanup.h"
#include "lib/path.h"

static int rootfs_plan_root(const struct launch *l, struct rootfs *r, struct error *err);
static int rootfs_plan_mount(const struct launch *l, const struct ns_plan *ns,
			     const Grpc__Mount *spec, struct procfs *procfs,
			     struct container_mount *m, struct error *err);
static int rootfs_plan_bind(const struct launch *l, struct container_mount *m, const char *source,
			    struct error *err);
static struct devices rootfs_devices_of(const struct rootfs *r);
static int rootfs_map_mount(const struct container_mount *m, int user_ns, struct error *err);
static int rootfs_open_dev(struct rootfs *r, struct error *err);

int
rootfs_plan(const struct launch *l, const struct ns_plan *ns, struct procfs *procfs,
	    struct rootfs *r, struct error *err)
{
	const Grpc__Spec *spec = l->spec;

	*r = (struct rootfs){
		.launch = l,
		.user = ns->user,
		.tree = -1,
		.null_tree = -1,
		.store = -1,
		.root = -1,
		.dev = -1,
	};
	if (rootfs_plan_root(l, r, err) < 0)
		return -1;
	r->mounts = calloc(spec->n_mounts + 1, sizeof(*r->mounts));
	r->pending = calloc(spec->n_mounts + 1, sizeof(*r->pending));
	if (!r->mounts || !r->pending)
		return error_nomem(err, "planning mounts");
	for (; r->n_mounts < spec->n_mounts; r->n_mounts++) {
		r->mounts[r->n_mounts].tree = -1;
		if (rootfs_plan_mount(l, ns, spec->mounts[r->n_mounts], procfs,
				      &r->mounts[r->n_mounts], err) < 0) {
			r->n_mounts++;
			return -1;
		}
	}
	if (spec->linux->n_maskedpaths && (r->null_tree = devices_null(l->roots, err)) < 0)
		return -1;
	return ns->user && (r->store = devices_new_store(err)) < 0 ? -1 : 0;
}

static int
rootfs_plan_root(const struct launch *l, struct rootfs *r, struct error *err)
{
	const char *path = l->spec->root->path;
	auto_close int fd =
		path_try_open(l->roots->root, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);

	if (fd < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to open root file system %s", path);
	r->tree = sys_open_tree(fd, "",
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (r->tree < 0)
		return error_sys(err, "failed to clone root file system %s", path);
	return mount_set(r->tree, 0, 0, MS_SLAVE, true, err);
}

static int
rootfs_plan_mount(const struct launch *l, const struct ns_plan *ns, const Grpc__Mount *spec,
		  struct procfs *procfs, struct container_mount *m, struct error *err)
{
	if (mount_understand(spec, m, err) < 0)
		return -1;
	m->label = lsm_mount_label(&l->lsm, spec->type, l->spec->linux->mountlabel);
	m->aside = l->bundle;
	/* A sysfs shows the devices of the network namespace in which it is mounted, and can
	 * only be mounted by a process whose user namespace owns that network namespace. A
	 * container with a user namespace that does not own it gets a bind of the guest's sysfs. */
	if (ns->user && !ns_plan_owns_net(ns) && m->kind == MOUNT_FS &&
	    strcmp(spec->type, "sysfs") == 0) {
		m->kind = MOUNT_BIND;
		m->own.set |= MOUNT_ATTR_RDONLY;
		return rootfs_plan_bind(l, m, "/sys", err);
	}
	/* A procfs shows the pid namespace in which its context is opened, and only the last
	 * fork enters the container's. */
	if (procfs->pid_ns >= 0 && m->kind == MOUNT_FS && strcmp(spec->type, "proc") == 0) {
		m->kind = MOUNT_BIND;
		m->directory = true;
		m->tree = procfs_mount(procfs, spec, m->label, m->own.set, err);
		/* A copy has the attributes of its original. */
		m->own.clear = (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				MOUNT_ATTR_NOEXEC) &
			       ~m->own.set;
		if (m->tree < 0)
			return error_wrap(err, "failed to mount %s", spec->destination);
		return mount_set(m->tree, 0, 0, MS_PRIVATE, false, err);
	}
	return m->kind == MOUNT_BIND ? rootfs_plan_bind(l, m, spec->source, err) : 0;
}

/* Returns the propagation of the guest's mounts in the container (linux.rootfsPropagation). */
static uint64_t
rootfs_propagation_of(const struct launch *l)
{
	const char *word = l->spec->linux->rootfspropagation;

	word += word[0] == 'r';
	if (strcmp(word, "shared") == 0)
		return MS_SHARED;
	if (strcmp(word, "private") == 0)
		return MS_PRIVATE;
	if (strcmp(word, "unbindable") == 0)
		return MS_UNBINDABLE;
	return MS_SLAVE;
}

/* Opens a bind's source. The clone leaves the guest's peer groups, unless both the root and this
 * mount are to be shared: mounts made below it then appear in the guest and in all other peers. */
static int
rootfs_plan_bind(const struct launch *l, struct container_mount *m, const char *source,
		 struct error *err)
{
	if (mount_open_source(l->roots, source, m->recursive, &m->tree, &m->directory, err) < 0)
		return -1;
	if (rootfs_propagation_of(l) == MS_SHARED && mount_wants_shared(m))
		return 0;
	return mount_set(m->tree, 0, 0,
			 rootfs_propagation_of(l) == MS_PRIVATE ? MS_PRIVATE : MS_SLAVE, true, err);
}

void
rootfs_release(struct rootfs *r)
{
	close_fd(&r->tree);
	close_fd(&r->null_tree);
	for (size_t i = 0; i < r->n_mounts; i++)
		close_fd(&r->mounts[i].tree);
	close_fd(&r->store);
	free(r->mounts);
	free(r->pending);
	r->mounts = NULL;
	r->pending = NULL;
	r->n_mounts = 0;
}

int
rootfs_map_ids(struct rootfs *r, int pid, const struct ns_maps *maps, struct error *err)
{
	struct devices devices = rootfs_devices_of(r);
	auto_close int user_ns = -1;
	char path[32];

	if (devices_store(r->store, &devices, maps, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%d/ns/user", pid);
	user_ns = openat(r->launch->roots->proc, path, O_RDONLY | O_CLOEXEC);
	if (user_ns < 0)
		return error_sys(err, "failed to open the user namespace of process %d", pid);
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (r->mounts[i].idmap && rootfs_map_mount(&r->mounts[i], user_ns, err) < 0)
			return -1;
	}
	return 0;
}

static struct devices
rootfs_devices_of(const struct rootfs *r)
{
	return (struct devices){
		.roots = r->launch->roots,
		.linux = r->launch->spec->linux,
		.store = r->store,
	};
}

/* Maps the ids of a bind's files to the user namespace. Not every file system and kernel
 * supports it. */
static int
rootfs_map_mount(const struct container_mount *m, int user_ns, struct error *err)
{
	struct sys_mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
				       .userns_fd = (uint64_t)user_ns };
	unsigned int below = m->idmap_below ? AT_RECURSIVE : 0;
	struct utsname kernel;

	if (sys_mount_setattr(m->tree, "", AT_EMPTY_PATH | below, &attr) == 0)
		return 0;
	if (errno != EINVAL || uname(&kernel) < 0)
		return error_sys(err, "failed to map ids of mount %s", m->spec->destination);
	return error_sys_code(err, ERROR_INVALID_ARGUMENT,
			      "mount %.128s: option %s: kernel %.64s does not support id-mapped "
			      "mounts of this file system",
			      m->spec->destination, below ? "ridmap" : "idmap", kernel.release);
}

int
rootfs_enter(struct rootfs *r, struct error *err)
{
	struct sys_mount_attr slave = { .propagation = MS_SLAVE };
	char path[PATH_MAX];
	auto_close int at = -1;
	auto_close int bundle = -1;

	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave) < 0)
		return error_sys(err, "failed to disable mount propagation to the guest");
	/* The bundle is on the agent's tmpfs. It is opened by path because a mount can only be
	 * attached in the caller's mount namespace. */
	if (snprintf(path, sizeof(path), "%s/rootfs", r->launch->bundle) >= (int)sizeof(path))
		return error_set(err, ERROR_INTERNAL, "bundle path %s is too long",
				 r->launch->bundle);
	at = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bundle = openat(AT_FDCWD, r->launch->bundle, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0 || bundle < 0)
		return error_sys(err, "failed to open %s in the container's mount namespace", path);
	if (mount_attach(r->tree, at, path, err) < 0)
		return -1;
	/* Only mounts of the caller's mount namespace can be cloned. This one is detached with
	 * the guest's root. */
	if (r->store >= 0 && mount_attach(r->store, bundle, r->launch->bundle, err) < 0)
		return -1;
	r->root = steal_fd(&r->tree);
	return 0;
}

int
rootfs_fill(struct rootfs *r, struct error *err)
{
	struct devices devices = rootfs_devices_of(r);
	bool dev_is_bind = false;

	for (size_t i = 0; i < r->n_mounts; i++) {
		struct container_mount *m = &r->mounts[i];
		bool pending_ro = false;
		int fd = mount_make(r->root, m, &pending_ro, err);

		if (fd < 0)
			return -1;
		if (mount_path_is(m->spec->destination, "/dev"))
			dev_is_bind = m->kind == MOUNT_BIND;
		if (pending_ro)
			r->pending[r->n_pending++] = fd;
		else
			close_fd(&fd);
	}
	if (dev_is_bind)
		return 0;
	if (rootfs_open_dev(r, err) < 0)
		return -1;
	return devices_make(r->dev, &devices, err);
}

/* Opens the container's /dev, which must be a real directory, so that nodes are not made
 * elsewhere. */
static int
rootfs_open_dev(struct rootfs *r, struct error *err)
{
	auto_close int made = -1;

	r->dev = path_try_open(r->root, "dev", O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (r->dev < 0 && errno == ENOENT) {
		made = path_mkdir_all(r->root, "dev", 0755, (uid_t)-1, (gid_t)-1, err);
		if (made < 0)
			return -1;
		r->dev = path_try_open(r->root, "dev", O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	}
	if (r->dev < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to open /dev of the root file system");
	return 0;
}

int
rootfs_protect(struct rootfs *r, struct error *err)
{
	const Grpc__Spec *spec = r->launch->spec;
	auto_close int cwd = -1;

	if (masks_apply(r->root, spec->linux->maskedpaths, spec->linux->n_maskedpaths,
			&r->null_tree, err) < 0)
		return -1;
	cwd = path_try_open(r->root, spec->process->cwd, O_PATH, 0, PATH_FOLLOW_ALL);
	if (cwd < 0 && errno != ENOENT)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to open working directory %s", spec->process->cwd);
	if (cwd < 0)
		cwd = path_mkdir_all(r->root, spec->process->cwd, 0755, (uid_t)-1, (gid_t)-1, err);
	if (cwd < 0) {
		err->code = ERROR_INVALID_ARGUMENT;
		return error_wrap(err, "failed to create the working directory");
	}
	if (readonly_apply(r->root, spec->linux->readonlypaths, spec->linux->n_readonlypaths, err) <
	    0)
		return -1;
	for (size_t i = 0; i < r->n_pending; i++) {
		if (mount_set(r->pending[i], MOUNT_ATTR_RDONLY, 0, 0, false, err) < 0)
			return -1;
		close_fd(&r->pending[i]);
	}
	if (spec->root->readonly && mount_set(r->root, MOUNT_ATTR_RDONLY, 0, 0, false, err) < 0)
		return error_wrap(err, "failed to make the root read-only");
	return 0;
}

int
rootfs_pivot(struct rootfs *r, struct error *err)
{
	uint64_t propagation = rootfs_propagation_of(r->launch);

	if (fchdir(r->root) < 0)
		return error_sys(err, "failed to enter the new root");
	/* pivot_root(2) stacks the old root on the new one at "/", and "." still refers to it. */
	if (sys_pivot_root(".", ".") < 0)
		return error_sys(err, "failed to change the root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_sys(err, "failed to detach the guest's root");
	if (propagation == MS_SLAVE)
		return 0;
	return mount_set(r->root, 0, 0, propagation, false, err);
}
