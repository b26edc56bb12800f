/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing and thawing the processes of a cgroup. Worker side: may block. Source: cgroup-v2.rst,
 * cgroup.freeze. */
#pragma once

#include "lib/error.h"

/* Freezes all processes in and below the cgroup, and waits until they have stopped or exited. After
 * timeout_ms it thaws them and fails with DEADLINE_EXCEEDED. Returns 0, or -1 and sets err. */
int cgroup_freeze(int root_fd, const char *path, int timeout_ms, struct error *err);

/* Thaws the processes, and waits until they run. Returns 0, or -1 and sets err. */
int cgroup_thaw(int root_fd, const char *path, int timeout_ms, struct error *err);
