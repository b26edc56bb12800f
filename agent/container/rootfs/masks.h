/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths of a container. By the new process, before it leaves the guest's root. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/* Covers each path: a file with null_tree (a detached clone of the guest's /dev/null, used up), a directory with an
 * empty read-only one. What does not exist is skipped; links are resolved inside the root. */
int masks_apply(int root_fd, char *const *paths, size_t n, int *null_tree, struct error *err);

/* Makes each path and all that is mounted below it read-only. What does not exist is skipped. */
int readonly_apply(int root_fd, char *const *paths, size_t n, struct error *err);
