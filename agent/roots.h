/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory fds opened once at start, through which everything that reads /proc, /sys, /dev or cgroupfs
 * goes, so that a test can hand over a made-up tree. Never re-opened by name.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct roots {
	int proc; /* a private, detached procfs (fsopen), in the agent's pid namespace; nobody can mount
		     * over it */
	int sys;    /* /sys */
	int dev;    /* /dev */
	int cgroup; /* root of the cgroup v2 hierarchy, -1 if there is none */
	int run;    /* /run/kata-containers (tmpfs of our own) */
	int root;   /* / of the guest, O_PATH */
};

#define RUN_DIR "/run/kata-containers"

/* Opens all of them; only proc, sys, dev, run and root are required. run is made, on a tmpfs of our own
 * if what lies there is none. At start only: may block. -1 and err with everything closed. */
int roots_open(struct roots *roots, struct error *err);

void roots_close(struct roots *roots);

/* Opens (O_PATH) a path of the guest that a host named. Symlinks are followed only where no container can make them: on
 * the mount of the guest's root, never below RUN_DIR. fd, or -1 and errno, ELOOP for a link that is not followed.
 * Worker only: may block. */
int roots_open_path(const struct roots *roots, const char *path);
