/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed form of a spec's mounts: kind, flags, and for binds a detached clone of the source.
 * The worker plans them in the guest's mount namespace, where the sources are; the new process
 * mounts them (mounts.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/sys.h"
#include "oci.pb-c.h"

enum mount_kind {
	/* A new instance of a file system. */
	MOUNT_FS,
	/* A bind of a tree of the guest. */
	MOUNT_BIND,
	/* A cgroup2 of the container's cgroup namespace. */
	MOUNT_CGROUP,
};

/* MOUNT_ATTR_* of mount_setattr(2) that the options of a mount set and clear. The atime bits are
 * only cleared together. */
struct mount_attrs {
	uint64_t set, clear;
};

#define MOUNT_PROPAGATIONS_MAX 4

struct container_mount {
	const Grpc__Mount *spec;
	enum mount_kind kind;
	/* The attributes of the mount itself. */
	struct mount_attrs own;
	/* The attributes of the mount and all mounts below it ("rro"). */
	struct mount_attrs below;
	/* MS_SHARED and so on, optionally with MS_REC, in order. */
	unsigned long propagation[MOUNT_PROPAGATIONS_MAX];
	unsigned int n_propagation;
	/* Option rbind. */
	bool recursive;
	/* Option remount, valid for binds only. */
	bool remount;
	/* Ids are mapped to the container's user namespace. */
	bool idmap;
	/* Also those of the mounts below ("ridmap"). */
	bool idmap_below;
	/* A tmpfs that starts with a copy of the directory it covers. */
	bool copy_up;
	/* SELinux context of a new file system; NULL: the policy's default. */
	const char *label;
	/* MOUNT_BIND: detached clone of the source, owned. */
	int tree;
	/* The source is a directory. */
	bool directory;
	/* MOUNT_BIND: an option of a file system, which has no effect on a bind; NULL: none. */
	const char *ignored;
	/* A private directory in the guest for temporary mounts. */
	const char *aside;
};

/* The meaning of one option of a mount. */
enum mount_word {
	/* A flag of the plan. */
	MOUNT_WORD_FLAG,
	/* Data for the file system. */
	MOUNT_WORD_DATA,
	/* A flag of the superblock, without effect on a bind. */
	MOUNT_WORD_SUPER,
	/* The same, but not known to every file system. */
	MOUNT_WORD_MAYBE,
	/* Not for the kernel ("x-…", "io.katacontainers.…"). */
	MOUNT_WORD_IGNORED,
};

/* Adds one option to a mount and returns its meaning. Pure. */
enum mount_word mount_word_add(struct container_mount *m, const char *word);

/* Parses a mount of the spec; *out refers to `spec`. Returns 0, or -1 and INVALID_ARGUMENT.
 * Pure. */
int mount_understand(const Grpc__Mount *spec, struct container_mount *out, struct error *err);

/* Opens the source of a bind as a detached clone in *tree, which the caller owns. A path through
 * a symbolic link that a container may have created in a volume is refused (roots_open_path()).
 * Returns 0, or -1 and err. Worker only: may block. */
int mount_open_source(const struct roots *roots, const char *source, bool recursive, int *tree,
		      bool *directory, struct error *err);

/* Returns whether the mount's options make it shared. Pure. */
bool mount_wants_shared(const struct container_mount *m);

/* Returns whether two paths are equal, where `path` may have repeated and trailing slashes and
 * "." components. Pure. */
bool mount_path_is(const char *path, const char *what);
