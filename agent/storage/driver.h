/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of a storage driver: each is a file that defines one const struct, listed in
 * drivers.c. One of them serves the disks of all buses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "agent/storage/spec.h"
#include "lib/error.h"

struct storage_place;
struct worker;

/* Longest proxy settings, with the NUL. */
#define STORAGE_PROXY_MAX 512

/* The settings of images that the guest pulls. */
struct storage_pull {
	uint32_t timeout_s;
	/* For the programs; NULL or "": none. */
	const char *https_proxy, *no_proxy;
};

/* The argument of a driver's mount function. */
struct storage_mount {
	const struct storage_spec *spec;
	const struct roots *roots;
	/* "/dev/..." if the driver needs a block device, else NULL */
	const char *node;
	/* The container that asked for it first, "" for the sandbox. */
	const char *owner;
	const struct storage_pull *pull;
};

struct storage_driver {
	/* The value of Storage.driver. */
	const char *name;
	/* The loop finds the disk named by `source` before the mount. Storage.driver is the name of
	 * the bus. */
	bool is_disk;
	/* The mount pulls an image first, for which storage_pull has a time limit. */
	bool is_pull;
	/* The storage is kept until the sandbox ends, even without users: a volume of the pod
	 * outlives a container that is restarted. */
	bool pod_lifetime;
	/* Checks the fields: INVALID_ARGUMENT. Loop side: never blocks. NULL: only mount_point is
	 * checked. */
	int (*check)(const struct storage_spec *spec, struct error *err);
	/* Mounts the storage. Worker only: may block. Announces each step first. */
	int (*mount)(struct worker *w, const struct storage_mount *m, struct error *err);
	/* Returns to the guest what the mount took in addition to its mount point. Called at
	 * most once, after the unmount; NULL: nothing to do. Worker only: may block. */
	void (*unmounted)(struct worker *w, const struct storage_mount *m);
};

/* Returns the driver with this name, NULL if there is none. */
const struct storage_driver *storage_driver_find(const char *name);

/* ---- helpers of the drivers, worker only: may block ---- */

/* Waits up to 1 s until a disk that was just plugged in can be opened: its node appears slightly
 * earlier, and opening it fails with ENXIO until the kernel announces the disk. Any other error is
 * left to the next open. Worker only: blocks. */
void storage_await_disk(const struct roots *roots, const char *node);

/* The thing to mount. */
struct storage_source {
	const char *name, *type;
	/* Options appended to those of the spec, NULL-terminated; NULL: none. */
	const char *const *extra;
};

/* Finishes the mount at fd `tree` before it is attached. */
typedef int storage_finish_fn(const struct storage_mount *m, int tree, struct error *err);

/* Mounts source with the spec's options at its mount point, creating the mount point if needed,
 * applies propagation and fs_group, calls finish (may be NULL), and notifies the loop.
 * Journalled. */
int storage_mount_common(struct worker *w, const struct storage_mount *m,
			 const struct storage_source *source, storage_finish_fn *finish,
			 struct error *err);

/* Binds `source` over the place with the spec's options and `flags` (MS_*), journalled. Returns the
 * mount's fd, for storage_place_keep(). */
int storage_bind_at(struct worker *w, const struct storage_mount *m,
		    const struct storage_place *place, int source, unsigned long flags,
		    struct error *err);

/* Changes the group of the tree at fd (a directory or file opened with O_PATH) to the spec's
 * fs_group, according to its policy. Files of a read-only mount keep their owners, as with the
 * kubelet. */
int storage_apply_fs_group(const struct storage_mount *m, int fd, struct error *err);

/* Returns the value of the option "key=", NULL if absent. Pure. */
const char *storage_option(const struct storage_spec *spec, const char *key);

/* Returns whether this word is among the options. Pure. */
bool storage_has_option(const struct storage_spec *spec, const char *option);

/* An option of overlayfs: the host wants a writable layer in the guest's memory. */
#define OVERLAY_RW_OPTION "io.katacontainers.fs-opt.overlay-rw"
/* A driver option of overlayfs: a directory, such as an upperdir, to create first. */
#define OVERLAY_CREATE_OPTION "io.katacontainers.volume.overlayfs.create_directory="
