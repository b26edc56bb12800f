/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spec's mounts, understood: what each is, its flags, and for binds the detached clone of its source. Planned by
 * the worker in the guest's mount namespace, where the sources are; carried out by the new process (mounts.h).
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
	MOUNT_FS,     /* a new instance of a file system */
	MOUNT_BIND,   /* a tree of the guest */
	MOUNT_CGROUP, /* cgroup2 as the container sees it */
};

/* MOUNT_ATTR_* of mount_setattr(2): what a list of words asks for. The atime bits are cleared all together. */
struct mount_attrs {
	uint64_t set, clear;
};

#define MOUNT_PROPAGATIONS_MAX 4

struct container_mount {
	const Grpc__Mount *spec;
	enum mount_kind kind;
	struct mount_attrs own;   /* of the mount itself */
	struct mount_attrs below; /* of it and of everything mounted below ("rro") */
	unsigned long propagation[MOUNT_PROPAGATIONS_MAX]; /* MS_*, perhaps with MS_REC, in order */
	unsigned int n_propagation;
	bool recursive;    /* rbind */
	bool remount;      /* means something to a bind only */
	bool idmap;        /* ids as in the container's user namespace */
	bool idmap_below;  /* also of what is mounted below ("ridmap") */
	bool copy_up;      /* tmpfs: begins with what it covers */
	const char *label; /* SELinux context of a new file system; NULL: the policy's */
	int tree;          /* MOUNT_BIND: detached clone of the source, owned */
	bool directory;    /* is it one? */
	const char *
		ignored; /* MOUNT_BIND: an option of a file system, which a bind has no use for; NULL: none */
	const char *aside; /* a directory of ours in the guest, to mount in for a moment */
};

/* How one option word of a mount was understood. */
enum mount_word {
	MOUNT_WORD_FLAG,    /* is in the plan */
	MOUNT_WORD_DATA,    /* belongs to the file system */
	MOUNT_WORD_SUPER,   /* a flag of the file system as a whole: nothing to a bind */
	MOUNT_WORD_MAYBE,   /* the same; many file systems know no such switch */
	MOUNT_WORD_IGNORED, /* means nothing here ("x-...", "io.katacontainers...") */
};

/* Adds one option word to a mount. Pure. */
enum mount_word mount_word_add(struct container_mount *m, const char *word);

/* Kind and flags of one mount. Pure: opens nothing. */
int mount_understand(const Grpc__Mount *spec, struct container_mount *out, struct error *err);

/* Opens the source of a bind as a detached clone: *tree is owned by the caller. A link that a container may have made in a
 * volume is refused (roots_open_path()). Worker only: may block. */
int mount_open_source(const struct roots *roots, const char *source, bool recursive, int *tree,
		      bool *directory, struct error *err);

/* Does the mount's propagation make it shared? Pure. */
bool mount_wants_shared(const struct container_mount *m);

/* A slash at the end, several in a row, and "." do not make another path. */
bool mount_path_is(const char *path, const char *what);
