/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's root file system: planned by the worker, who opens everything of the guest that goes into it as
 * detached clones; built by the new process in its own mount namespace, which resolves paths only below the new
 * root. The guest's mounts never change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/container/launch/params.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/mount_plan.h"
#include "agent/container/rootfs/procfs.h"

struct rootfs {
	const struct launch *launch;
	bool user;                      /* in a new user namespace */
	int tree;                       /* clone of spec.root.path */
	struct container_mount *mounts; /* of the spec, in its order */
	size_t n_mounts;
	int null_tree; /* clone of the guest's /dev/null, for masks */
	int store;     /* device nodes for a user namespace (devices.h); -1: made in place */
	/* in the new process */
	int root;     /* the new root, O_PATH */
	int dev;      /* its /dev; -1 if that is a bind and left alone */
	int *pending; /* mounts that become read-only at the end; room for n_mounts */
	size_t n_pending;
};

/* In the worker. Release in both cases. The mounts of a procfs take its contexts, if it has a pid namespace. */
int rootfs_plan(const struct launch *l, const struct ns_plan *ns, struct procfs *procfs,
		struct rootfs *r, struct error *err);
void rootfs_release(struct rootfs *r);

/* In the worker, while the process waits that has the user namespace: device nodes, id-mapped mounts. */
int rootfs_map_ids(struct rootfs *r, int pid, const struct ns_maps *maps, struct error *err);

/* In the new process, in this order. enter: cut off propagation to the guest and attach the root. */
int rootfs_enter(struct rootfs *r, struct error *err);

/* Mounts, /dev. */
int rootfs_fill(struct rootfs *r, struct error *err);

/* Masked and read-only paths, the working directory, read-only mounts. Nothing can be made in it afterwards. */
int rootfs_protect(struct rootfs *r, struct error *err);

/* Makes it the root directory; the guest's root is gone then. */
int rootfs_pivot(struct rootfs *r, struct error *err);
