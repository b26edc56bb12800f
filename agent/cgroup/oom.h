/* SPDX-License-Identifier: Apache-2.0 */
/* Kills by the OOM killer in a cgroup. Source: cgroup-v2.rst, memory.events. Never blocks. */
#pragma once

#include <stdint.h>

/* Reads the number of processes in and below the cgroup that the OOM killer has killed since the
 * cgroup was made. fd is open on memory.events, whose changes the kernel signals by EPOLLPRI.
 * Returns 0, or -1 and errno (ENODEV: the cgroup is gone). */
int cgroup_oom_kills(int fd, uint64_t *kills);
