/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detached mounts, known by an fd before they are attached. Only mount(2) takes every option of
 * every file system, but it cannot make detached mounts. So it mounts in a private directory of the
 * agent; that mount is cloned and removed at once. Worker only: may block.
 */
#include "agent/storage/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest/kmod.h"
#include "agent/job/steps.h"
#include "agent/job/worker.h"
#include "agent/roots.h"
#include "lib/cleanup.h"
#include "lib/mountopt.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/unmount.h"

/* Sets the flags as a remount of a bind does (mount(2)): all flags are replaced, except the atime
 * mode, which is kept if none is given. */
static int
set_flags(int tree, unsigned long flags)
{
	const uint64_t all = mountopt_attrs(~0ul) & ~(uint64_t)MOUNT_ATTR__ATIME;
	struct sys_mount_attr attr = { .attr_set = mountopt_attrs(flags) };

	attr.attr_clr = all & ~attr.attr_set;
	if (flags & MOUNTOPT_ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	return sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr);
}

int
storage_tree_bind(int source, unsigned long flags, struct error *err)
{
	unsigned long later = flags & ~(unsigned long)(MS_BIND | MS_REC | MS_REMOUNT | MS_SILENT);
	auto_close int tree = sys_open_tree(source, "",
					    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
						    (flags & MS_REC ? AT_RECURSIVE : 0));

	if (tree < 0)
		return error_sys(err, "failed to clone the source of a bind");
	if (later && set_flags(tree, later) < 0)
		return error_sys(err, "failed to set the flags of a bind");
	return steal_fd(&tree);
}

/* Mounts at `target`, if need be with a module of the image. */
static int
mount_fs(const struct storage_fs *fs, const struct roots *roots, const char *target,
	 struct error *err)
{
	struct kmod_env env;
	char release[65];

	if (mount(fs->source, target, fs->type, fs->flags, fs->data) == 0)
		return 0;
	if (errno == ENODEV) {
		if (kmod_env_init(&env, roots->root, roots->sys, release, err) < 0)
			return -1;
		if (kmod_load_for_fs(&env, fs->type, err) < 0 && err->code != ERROR_NOT_FOUND)
			return error_wrap(err, "failed to mount %s (type %s)", fs->source,
					  fs->type);
		*err = ERROR_INIT;
		if (mount(fs->source, target, fs->type, fs->flags, fs->data) == 0)
			return 0;
	}
	if (errno == ENODEV)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "failed to mount %s: the guest's kernel does not support file "
				 "system %.32s",
				 fs->source, fs->type);
	return error_sys(err, "failed to mount %s (type %s, options \"%s\")", fs->source, fs->type,
			 fs->data);
}

/* Mounts in the directory `name` of roots->run. No container can reach it, so its name is safe to
 * use. */
static int
mount_aside(struct worker *w, const struct storage_fs *fs, const struct roots *roots,
	    const char *name, struct error *err)
{
	const int run = roots->run;
	char target[64];
	auto_close int under = path_open(run, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE, err);
	const struct undo undo = { .kind = &undo_umount, .fd = under, .name = name };
	auto_close int top = -1;
	auto_close int tree = -1;

	if (under < 0 || worker_step(w, &undo, err) < 0)
		return -1;
	if (mount_fs(fs, roots, path_of_fd(under, target), err) < 0)
		return -1;
	top = path_open(run, name, O_PATH, 0, PATH_FOLLOW_NONE, err);
	if (top < 0)
		return -1;
	tree = sys_open_tree(top, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return error_sys(err, "failed to clone the mount of %s", fs->source);
	if (unmount_upon(under, 0, MNT_DETACH) < 0)
		return error_sys(err, "failed to detach the mount of %s", fs->source);
	return steal_fd(&tree);
}

int
storage_tree_mount(struct worker *w, const struct storage_fs *fs, const struct roots *roots,
		   struct error *err)
{
	const int run = roots->run;
	char name[32];
	auto_close int tree = -1;

	(void)snprintf(name, sizeof(name), ".mount-%d", (int)getpid());
	if (worker_mkdir(w, run, name, 0700, NULL, err) < 0)
		return error_wrap(err, "failed to create a temporary mount point for %s", RUN_DIR);
	tree = mount_aside(w, fs, roots, name, err);
	if (tree < 0)
		return -1;
	if (unlinkat(run, name, AT_REMOVEDIR) < 0)
		worker_log(w, LOG_LEVEL_WARN, "failed to remove directory %s: %s", name,
			   strerror(errno));
	return steal_fd(&tree);
}
