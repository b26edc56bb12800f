/* SPDX-License-Identifier: Apache-2.0 */
/* Costs of the kernel alone: the floors that the agent is measured against. Times are in
 * nanoseconds. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Measures clone with a container's namespaces, pivot_root into rootfs, exec of /bin/true, and
 * reaping. Returns 0 on failure. */
uint64_t floor_container(const char *rootfs);

/* Measures joining the namespaces of pid, clone, exec of /bin/true, and reaping. Returns 0 on
 * failure. */
uint64_t floor_exec(pid_t pid);

/* Returns MiB per second of zeros through a unix stream socket, sent in parts of this size, to a
 * process that drops them. */
double floor_send(uint64_t bytes, size_t part);
