/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory descriptors that are opened once at start. All access to /proc, /sys, /dev and cgroupfs
 * uses them, so that tests can pass a fake tree. They are never reopened by name.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct roots {
	/* a private, detached procfs (fsopen) of the agent's pid namespace, which no mount can
	 * hide */
	int proc;
	/* /sys */
	int sys;
	/* /dev */
	int dev;
	/* root of the cgroup v2 hierarchy, -1 if there is none */
	int cgroup;
	/* /run/kata-containers, on a tmpfs */
	int run;
	/* / of the guest, O_PATH */
	int root;
};

#define RUN_DIR "/run/kata-containers"

/* Opens all directories. Those except cgroup are required. The run directory is made, and gets a
 * tmpfs unless it is on one. Returns 0, or -1 and sets err with all of them closed. Called at start
 * only: may block. */
int roots_open(struct roots *roots, struct error *err);

/* Closes all directories. */
void roots_close(struct roots *roots);

/* Opens (O_PATH) a path of the guest that the host has given. Symlinks are followed only where no
 * container can make them: on the mount of the guest's root, and never below RUN_DIR. Returns a
 * descriptor, or -1 and errno (ELOOP for a symlink that is not followed). Worker side: may
 * block. */
int roots_open_path(const struct roots *roots, const char *path);
