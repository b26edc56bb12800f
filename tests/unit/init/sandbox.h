/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a test's body as PID 1 of new namespaces (Criterion's own body has threads and cannot unshare). */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Ends the sandboxed process and names the check that failed. */
#define MUST(cond)                                                                            \
	do {                                                                                  \
		if (!(cond)) {                                                                \
			(void)dprintf(2, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                             \
		}                                                                             \
	} while (0)

/* Calls fn(data) as PID 1 of a new pid namespace and of those in `flags` (CLONE_NEW*), in a user namespace if we
 * are not root. Returns its exit code, 128 + signal if it was killed, -1 if the sandbox could not be made. */
int sandbox_run(int flags, int (*fn)(void *data), void *data);

/* Skips the test where sandboxes cannot be made; fails it instead if CI is set. */
void sandbox_require(void);
