/* SPDX-License-Identifier: Apache-2.0 */
/* The mount option tmpcopyup: a tmpfs that starts with a copy of the directory it covers. Runs
 * in the container's new process. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

/* Copies the content of the directory from_fd into the empty directory to_fd (both may be
 * O_PATH): types, data, owners, modes, extended attributes and times; with `top`, also the
 * attributes of from_fd itself. No link is followed, and each lookup is of a single component.
 * Returns 0, or -1 and err. May block; the amount of data is only limited by the size of to_fd's
 * file system. */
int copyup_tree(int from_fd, int to_fd, bool top, struct error *err);
