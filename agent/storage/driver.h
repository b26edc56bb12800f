/* SPDX-License-Identifier: Apache-2.0 */
/* What a storage driver is: one file that ends in one const struct, named in drivers.c. */
#pragma once

#include <stdbool.h>

#include "agent/roots.h"
#include "agent/storage/spec.h"
#include "lib/error.h"

struct worker;

/* What a driver's mount gets. */
struct storage_mount {
	const struct storage_spec *spec;
	const struct roots *roots;
	/* "/dev/..." if the driver asked for a block device, else NULL */
	const char *node;
};

struct storage_driver {
	/* as in Storage.driver */
	const char *name;
	/* The loop finds the block device that `source` names before the mount. */
	bool needs_block_device;
	/* Stays when no container uses it any more, until the sandbox ends: a pod's volume
	 * outlives a container that is restarted. */
	bool pod_lifetime;
	/* Checks the fields; INVALID_ARGUMENT. Loop side: never blocks. NULL: nothing more than
	 * mount_point. */
	int (*check)(const struct storage_spec *spec, struct error *err);
	/* Brings it about. Worker only: may block. Announces each step first. */
	int (*mount)(struct worker *w, const struct storage_mount *m, struct error *err);
};

/* The table. NULL if there is none of that name. */
const struct storage_driver *storage_driver_find(const char *name);

/* ---- common to drivers, worker only: may block ---- */

/* Waits (1 s at most) until a disk that has just been plugged in can be opened: its node is
 * there a moment earlier, and opening it fails with ENXIO. Whatever else is wrong with it is for
 * what opens it next. Worker only: blocks. */
void storage_await_disk(const struct roots *roots, const char *node);

/* What is mounted. */
struct storage_source {
	const char *name, *type;
	/* Options that come after the spec's, NULL-terminated; NULL: none. */
	const char *const *extra;
};

/* What a driver does to the mount (its fd) before it is handed out. */
typedef int storage_finish_fn(const struct storage_mount *m, int tree, struct error *err);

/* Mounts source with the spec's options at its mount point, which is made if it is missing,
 * applies propagation and fs_group, calls finish (may be NULL), and tells the loop. Journalled. */
int storage_mount_common(struct worker *w, const struct storage_mount *m,
			 const struct storage_source *source, storage_finish_fn *finish,
			 struct error *err);

/* Gives the tree at fd (a directory or file opened O_PATH) to the spec's fs_group as its policy
 * says. What is mounted read-only keeps its owners, as with the kubelet. */
int storage_apply_fs_group(const struct storage_mount *m, int fd, struct error *err);

/* The value behind "key=" among the options, NULL if absent. Pure. */
const char *storage_option(const struct storage_spec *spec, const char *key);
