/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the body of a test as PID 1 of new namespaces (that of Criterion has threads and cannot
 * unshare). */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/check.h"

/* Calls fn(data) as PID 1 of a new pid namespace and of those in `flags` (CLONE_NEW*), in a user
 * namespace unless we are root. Returns its exit code, 128 + signal if it was killed, or -1 if the
 * sandbox could not be created. */
int sandbox_run(int flags, int (*fn)(void *data), void *data);

/* Skips the test if sandboxes cannot be created; fails it if CI is set. */
void sandbox_require(void);
