/* SPDX-License-Identifier: Apache-2.0 */
/* A container's root file system. The worker plans it and opens everything that comes from the
 * guest as detached clones; the new process assembles it in its own mount namespace, and resolves
 * paths only below the new root. The guest's mounts never change.
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
	/* The container has a user namespace. */
	bool user;
	/* Detached clone of spec.root.path. */
	int tree;
	/* In the spec's order. */
	struct container_mount *mounts;
	size_t n_mounts;
	/* Detached clone of the guest's /dev/null, for masks. */
	int null_tree;
	/* Device nodes for a user namespace (devices.h); -1: nodes are made in place. */
	int store;
	/* The members below are set in the new process. The new root, O_PATH. */
	int root;
	/* The root's /dev; -1 if it is a bind, which is not changed. */
	int dev;
	/* Mounts to be made read-only at the end; room for n_mounts. */
	int *pending;
	size_t n_pending;
};

/* Plans the root file system and opens its sources. Mounts of a procfs consume the copies and
 * contexts of `procfs` if its pid_ns is not -1. Returns 0, or -1 and err; the caller calls
 * rootfs_release() in both cases. Worker only: may block. */
int rootfs_plan(const struct launch *l, const struct ns_plan *ns, struct procfs *procfs,
		struct rootfs *r, struct error *err);
void rootfs_release(struct rootfs *r);

/* Makes the device nodes and maps the ids of mounts for the user namespace of the waiting
 * process `pid`. Returns 0, or -1 and err. Worker only: may block. */
int rootfs_map_ids(struct rootfs *r, int pid, const struct ns_maps *maps, struct error *err);

/* The new process calls the functions below in this order. Each returns 0, or -1 and err, and
 * may block.
 *
 * Disables mount propagation to the guest and attaches the root. */
int rootfs_enter(struct rootfs *r, struct error *err);

/* Makes the spec's mounts and fills /dev. */
int rootfs_fill(struct rootfs *r, struct error *err);

/* Makes the working directory, and applies masked paths, read-only paths and read-only mounts.
 * The root may be read-only afterwards. */
int rootfs_protect(struct rootfs *r, struct error *err);

/* Makes it the root directory and detaches the guest's root. */
int rootfs_pivot(struct rootfs *r, struct error *err);
