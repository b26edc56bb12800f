/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel alone needs: the floors that the agent is measured against. All times in nanoseconds. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* clone with a container's namespaces, pivot_root into rootfs, exec /bin/true, reaped. 0: failed. */
uint64_t floor_container(const char *rootfs);

/* Joins the namespaces of pid, clones, exec /bin/true, reaped. 0: failed. */
uint64_t floor_exec(pid_t pid);

/* One byte to a process on a unix stream socket and back. `state` is made by floor_echo_start(). */
int floor_echo_start(pid_t *pid);
uint64_t floor_echo(int fd);

/* Bytes a second through a pipe from another process, read 32 KiB at a time. */
double floor_pipe(uint64_t bytes);

/* MiB a second: bytes through a unix stream socket, `part` at a time, to a process that writes them to a file on tmpfs. */
double floor_copy(uint64_t bytes, size_t part);

/* MiB a second: bytes of zeros through a unix stream socket, sent in parts of this size, to a process that drops them. */
double floor_send(uint64_t bytes, size_t part);

/* Milliseconds to make and write each of n files on tmpfs. */
double floor_file(unsigned int n, size_t size);
