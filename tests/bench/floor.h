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

/* Measures a round trip of one byte to a process over a unix stream socket, which
 * floor_echo_start() creates. */
int floor_echo_start(pid_t *pid);
uint64_t floor_echo(int fd);

/* Returns bytes per second through a pipe from another process, read 32 KiB at a time. */
double floor_pipe(uint64_t bytes);

/* Returns MiB per second through a unix stream socket, `part` at a time, to a process that
 * writes them to a file on tmpfs. */
double floor_copy(uint64_t bytes, size_t part);

/* Returns MiB per second of zeros through a unix stream socket, sent in parts of this size, to a
 * process that drops them. */
double floor_send(uint64_t bytes, size_t part);

/* Returns the milliseconds to create and write each of n files on tmpfs. */
double floor_file(unsigned int n, size_t size);
