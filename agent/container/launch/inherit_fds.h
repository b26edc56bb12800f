/* SPDX-License-Identifier: Apache-2.0 */
/* The open files of a container's process before its program. Only container_init.c calls this. */
#pragma once

#include "agent/container/launch/container_init.h"
#include "lib/error.h"

/* Numbers from here on are free for use while files are arranged. */
#define ENTRY_FILES 7

/* Closes everything from 3 on but those fds (-1: none), in any order. */
int entry_keep_files(const int *fds, size_t n, struct error *err);

/* Closes everything but what the entry's set-up in a running container needs. */
int entry_close_others(const struct entry *e, struct error *err);

/* Puts stdio at 0 to 2, the socket, the gate, the pipe for reports and the pid namespace behind, and closes all else. */
int entry_arrange_files(struct entry *e, struct error *err);
