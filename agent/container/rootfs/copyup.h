/* SPDX-License-Identifier: Apache-2.0 */
/* Mount option tmpcopyup: a tmpfs that begins with what it covers. By a container's new process, in its root. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

/* Copies everything below the directory from_fd into the empty one to_fd (both may be O_PATH): types, contents, owners,
 * modes, extended attributes, times; to_fd itself gets those of from_fd if `top`. No link is followed, nothing is looked up
 * by more than one name at a time. May block; what stops it is the size of the file system behind to_fd. */
int copyup_tree(int from_fd, int to_fd, bool top, struct error *err);
