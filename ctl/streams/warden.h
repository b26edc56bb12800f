/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that outlives its client: when the client is gone without having told that the process
 * in the container has ended, it gets SIGHUP, and SIGKILL after a grace period.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

struct warden {
	/* the warden waits for the other end of this socket */
	int fd;
	pid_t pid;
};

/* Starts a warden for process exec_id of a container, through the agent at `address`. Returns 0, or
 * -1 and err. */
int warden_start(struct warden *w, const char *address, const char *container_id,
		 const char *exec_id, struct error *err);

/* Ends the warden; without `has_ended`, it first ends the process, in the background. */
void warden_end(struct warden *w, bool has_ended);
