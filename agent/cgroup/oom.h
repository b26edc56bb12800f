/* SPDX-License-Identifier: Apache-2.0 */
/* What the OOM killer did in a cgroup. Source: cgroup-v2.rst, memory.events. Never blocks. */
#pragma once

#include <stdint.h>

/* Processes in and below the cgroup that the OOM killer has killed since it was made. fd is open on memory.events,
 * which becomes readable by EPOLLPRI when it has changed since. 0, or -1 and errno (ENODEV: the cgroup is gone). */
int cgroup_oom_kills(int fd, uint64_t *kills);
