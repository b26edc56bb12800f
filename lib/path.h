/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one module that makes path calls on names that a container or a peer chose. Every path is resolved
 * with openat2(2), confined to a root fd, without magic links, and used through the fd that comes back.
 * Everything here may block when the root is on a share: call it in workers and container children
 * only, never on the agent's loop (except on tmpfs of our own). Paths may be absolute or relative: both
 * mean "below root". `..` cannot leave the root.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lib/error.h"

/* What may be followed inside the root. */
enum path_follow {
	PATH_FOLLOW_ALL,    /* symlinks are resolved inside the root (RESOLVE_IN_ROOT) */
	PATH_FOLLOW_PARENT, /* as above, but the last component is not followed (O_NOFOLLOW) */
	PATH_FOLLOW_NONE,   /* any symlink fails with ELOOP (RESOLVE_NO_SYMLINKS) */
};

/* Opens `path` below rootfd with `flags` (O_CLOEXEC|O_NOCTTY added; O_CREAT with mode allowed). fd or -1. */
int path_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow,
	      struct error *err);

/* As path_open, but -1 and errno instead of an error (for "is it there?" questions). */
int path_try_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow);

/* Opens (O_PATH) `path` below rootfd, following only symlinks that lie on rootfd's own mount: on any other, a container
 * may have made them. fd, or -1 and errno, ELOOP for such a link. */
int path_open_trusted(int rootfd, const char *path);

/* mkdir -p confined: returns an O_PATH|O_DIRECTORY fd of the last directory. New directories get `mode`
 * and belong to uid:gid (-1: unchanged). Existing symlinks are followed inside the root; dangling ones fail. */
int path_mkdir_all(int rootfd, const char *path, mode_t mode, uid_t uid, gid_t gid,
		   struct error *err);

/* Opens (O_PATH) the parent directory of `path`, creating missing parents with `mode` if create is true;
 * copies the last component to name (NAME_MAX+1 bytes). Fails for "", "/", ".", "..". */
int path_open_parent(int rootfd, const char *path, bool create, mode_t mode, char *name,
		     struct error *err);

/* Makes sure that something exists at path to be mounted on: a directory, or (if !directory) an empty file,
 * created only if missing. Returns its O_PATH fd. */
int path_make_target(int rootfd, const char *path, bool directory, mode_t mode, struct error *err);

/* Removes whatever is at dirfd/name, recursively, iteratively and without crossing mounts or following
 * links. A name with slashes is resolved like any path up to its last component: only for trees of ours. 0 also when it does not exist. */
int path_remove_tree(int dirfd, const char *name, struct error *err);

/* "/proc/self/fd/N" of the given private procfs for calls that take only a name (mount(2), chdir(2)...);
 * buf of at least 64 bytes. Only for calls made in this process. */
const char *path_of_fd(int fd, char buf[static 64]);

/* Opens what an O_PATH fd stands for: fd or -1 and errno. Not for symlinks. */
int path_reopen(int fd, int flags);

/* The path of an fd, without symlinks, in the caller's mount namespace: its length, or -1 and errno. For comparing, and for
 * messages: what lies there may be something else by now. */
ssize_t path_real(int fd, char out[static PATH_MAX]);

/* Calls fn for everything at and below the directory fd (dir, O_RDONLY|O_DIRECTORY), without following
 * symlinks or crossing mounts: fn(dirfd, name, stat). Stops and returns -1 if fn does. */
typedef int path_walk_fn(int dirfd, const char *name, const struct stat *st, void *data,
			 struct error *err);
int path_walk(int dirfd, path_walk_fn *fn, void *data, struct error *err);

/* Device number and inode of /proc's root says it is procfs? fs_type is the magic of statfs(2). */
bool fd_is_fstype(int fd, long fs_type);
