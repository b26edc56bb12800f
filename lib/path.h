/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only module that makes path calls with names chosen by a container or a peer. Each path is
 * resolved by openat2(2), confined to a root fd, without magic links, and used through the
 * resulting fd. All functions may block if the root is on a share, so they are called in workers
 * and container processes only, not on the agent's loop (except on our own tmpfs). Absolute and
 * relative paths are both relative to the root. `..` cannot leave the root.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lib/error.h"

/* Symbolic links that are followed inside the root. */
enum path_follow {
	/* All links, resolved inside the root (RESOLVE_IN_ROOT). */
	PATH_FOLLOW_ALL,
	/* All links except the last component (O_NOFOLLOW). */
	PATH_FOLLOW_PARENT,
	/* None: a link fails with ELOOP (RESOLVE_NO_SYMLINKS). */
	PATH_FOLLOW_NONE,
};

/* Opens `path` below rootfd with `flags`, O_CLOEXEC and O_NOCTTY; O_CREAT with mode is allowed.
 * Returns an fd or -1. */
int path_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow,
	      struct error *err);

/* As path_open(), but returns -1 and errno instead of an error, for tests of existence. */
int path_try_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow);

/* Opens (O_PATH) `path` below rootfd. Follows only symlinks on the mount of rootfd, since others
 * may have been made by a container. Returns an fd, or -1 and errno: ELOOP for such a link. */
int path_open_trusted(int rootfd, const char *path);

/* Creates a directory and its parents, confined to the root. Returns an O_PATH|O_DIRECTORY fd. New
 * directories have `mode` and owner uid:gid (-1: unchanged). Existing symlinks are followed inside
 * the root; dangling ones are an error. */
int path_mkdir_all(int rootfd, const char *path, mode_t mode, uid_t uid, gid_t gid,
		   struct error *err);

/* Opens (O_PATH) the parent directory of `path` and copies the last component to name
 * (NAME_MAX+1 bytes). If create is true, missing parents are created with `mode`. Fails for "",
 * "/", ".", "..". */
int path_open_parent(int rootfd, const char *path, bool create, mode_t mode, char *name,
		     struct error *err);

/* Returns an O_PATH fd of a mount point at path, and creates it if missing: a directory, or an
 * empty file if !directory. */
int path_make_target(int rootfd, const char *path, bool directory, mode_t mode, struct error *err);

/* Removes dirfd/name recursively without crossing mounts or following links; uses no recursion. A
 * name with slashes is resolved as a path up to its last component: only for our own trees. Returns
 * 0 also if it does not exist. */
int path_remove_tree(int dirfd, const char *name, struct error *err);

/* Writes "/proc/self/fd/N" of the given private procfs to buf (at least 64 bytes), for calls of
 * this process that take only a name: mount(2), chdir(2)... */
const char *path_of_fd(int fd, char buf[static 64]);

/* Reopens the file of an O_PATH fd. Returns an fd, or -1 and errno. Not for symlinks. */
int path_reopen(int fd, int flags);

/* Stores the path of an fd, without symlinks, in the mount namespace of the caller. Returns its
 * length, or -1 and errno. Only for comparisons and messages, because another file may be at that
 * path by now. */
ssize_t path_real(int fd, char out[static PATH_MAX]);

/* Calls fn(dirfd, name, stat) for the directory fd (O_RDONLY|O_DIRECTORY) and everything below it,
 * without following symlinks or crossing mounts. Stops and returns -1 if fn does. */
typedef int path_walk_fn(int dirfd, const char *name, const struct stat *st, void *data,
			 struct error *err);
int path_walk(int dirfd, path_walk_fn *fn, void *data, struct error *err);

/* Returns whether the fd is on a file system with this magic (statfs(2)). */
bool fd_is_fstype(int fd, long fs_type);
