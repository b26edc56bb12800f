/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors of a container's process before its program runs. Called by container_init.c
 * and exec.c. */
#pragma once

#include "agent/container/launch/init_params.h"
#include "lib/error.h"

/* Numbers from here on are free while descriptors are arranged. */
#define INHERIT_FDS_FREE 7

/* Closes all descriptors from 3 on except `fds` (-1: none), which may be in any order. Returns
 * 0, or -1 and err. */
int inherit_fds_keep(const int *fds, size_t n, struct error *err);

/* Closes all descriptors that the set-up of an exec does not need. Returns 0, or -1 and err. */
int inherit_fds_close_others(const struct container_init *e, struct error *err);

/* Moves stdio to 0 to 2, the socket, the gate, the pipe for reports and the pid namespace to the
 * numbers after, and closes all others. Returns 0, or -1 and err. */
int inherit_fds_arrange(struct container_init *e, struct error *err);
