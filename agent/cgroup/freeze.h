/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping a cgroup's processes and letting them go on. Worker only: may block. Source: cgroup-v2.rst, cgroup.freeze. */
#pragma once

#include "lib/error.h"

/* Freezes everything in and below the cgroup, waits until it has stopped, or has ended. After timeout_ms
 * it goes on as if nothing had been: DEADLINE_EXCEEDED, naming the cgroup. */
int cgroup_freeze(int root_fd, const char *path, int timeout_ms, struct error *err);

/* Lets it go on, and waits until it does. */
int cgroup_thaw(int root_fd, const char *path, int timeout_ms, struct error *err);
