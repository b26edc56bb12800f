/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting in a container's root. Runs in the new process in its own mount namespace. Each
 * destination is resolved once, confined to the root, and then used through its descriptor.
 */
#pragma once

#include <stdbool.h>

#include "agent/container/rootfs/mount_plan.h"

/* Makes one planned mount and consumes m->tree. Returns an O_PATH fd of the new mount's root,
 * which the caller owns, or -1 and err. A read-only tmpfs or /dev is left writable with
 * *pending_ro set: the caller makes it read-only after the root is filled. May block. */
int mount_make(int root_fd, struct container_mount *m, bool *pending_ro, struct error *err);

/* Attaches the detached mount `tree` at `dest_fd`; `name` is for the error text. Returns 0, or
 * -1 and err. */
int mount_attach(int tree, int dest_fd, const char *name, struct error *err);

/* Makes a new file system instance with the data options of `spec` (NULL: none) and the SELinux
 * context `label` (NULL: none). Returns the fd of the detached mount, which the caller owns, or
 * -1 and err. May block. */
int mount_new_fs(const char *type, const Grpc__Mount *spec, const char *label, uint64_t attrs,
		 struct error *err);

/* Like mount_new_fs(), for a context that is already open (fsopen(2)) and still belongs to the
 * caller. */
int mount_context(int fs, const char *type, const Grpc__Mount *spec, const char *label,
		  uint64_t attrs, struct error *err);
