/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting inside a container's root, by the new process in its own mount namespace. Each destination is resolved
 * confined to the root and used through its fd; nothing is looked up by name again.
 */
#pragma once

#include <stdbool.h>

#include "agent/container/rootfs/mount_plan.h"

/* Carries out one planned mount. Returns the fd of the new mount's root (O_PATH), or -1; m->tree is used up. A
 * read-only tmpfs (and /dev) is left writable: the caller makes it read-only when all else is in place
 * (*pending_ro). */
int mount_make(int root_fd, struct container_mount *m, bool *pending_ro, struct error *err);

/* Attaches a detached mount (tree) at the destination fd. */
int mount_attach(int tree, int dest_fd, const char *name, struct error *err);

/* A new file system instance as a detached mount: fd or -1. Options: those words of the spec that are data. */
int mount_new_fs(const char *type, const Grpc__Mount *spec, const char *label, uint64_t attrs,
		 struct error *err);

/* The same of a context that has been opened (fsopen(2)), which stays the caller's. */
int mount_context(int fs, const char *type, const Grpc__Mount *spec, const char *label,
		  uint64_t attrs, struct error *err);
