/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths of a container. Runs in the new process, before it leaves the
 * guest's root. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/* Masks each path: a file with *null_tree, a detached clone of the guest's /dev/null that is
 * consumed, a directory with an empty read-only tmpfs. Paths that do not exist are skipped;
 * links are resolved inside the root. Returns 0, or -1 and err. */
int masks_apply(int root_fd, char *const *paths, size_t n, int *null_tree, struct error *err);

/* Makes each path and all mounts below it read-only. Paths that do not exist are skipped.
 * Returns 0, or -1 and err. */
int readonly_apply(int root_fd, char *const *paths, size_t n, struct error *err);
