/* SPDX-License-Identifier: Apache-2.0 */
/* The open files of a container's process before its program. Only container_init.c calls this. */
#pragma once

#include "agent/container/launch/init_params.h"
#include "lib/error.h"

/* Numbers from here on are free for use while files are arranged. */
#define INHERIT_FDS_FREE 7

/* Closes everything from 3 on but those fds (-1: none), in any order. */
int inherit_fds_keep(const int *fds, size_t n, struct error *err);

/* Closes everything but what the entry's set-up in a running container needs. */
int inherit_fds_close_others(const struct container_init *e, struct error *err);

/* Puts stdio at 0 to 2, the socket, the gate, the pipe for reports and the pid namespace behind, and closes all else. */
int inherit_fds_arrange(struct container_init *e, struct error *err);
