/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of Linux security modules: process.apparmorProfile, process.selinuxLabel, linux.mountLabel. They are set through
 * the process's own attributes on the agent's procfs, which nobody can mount over, before the process can see anything
 * of the container.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* What the kernel has, and has switched on. */
struct lsm {
	bool apparmor, selinux;
};

/* sys_fd: /sys. Reads two files of sysfs: never blocks. */
struct lsm lsm_detect(int sys_fd);

/* The modules that these labels are for and the kernel lacks. mount_label may be NULL. Pure. */
struct lsm_missing {
	bool apparmor, selinux;
};
struct lsm_missing lsm_missing(const struct lsm *lsm, const Grpc__Process *process,
			       const char *mount_label);

/* For the caller's next execve: those labels that the kernel has a module for. A profile that is not loaded, or a label
 * that the policy does not know, is INVALID_ARGUMENT naming the field. proc_fd: a procfs that shows the caller. */
int lsm_apply(int proc_fd, const struct lsm *lsm, const Grpc__Process *process, struct error *err);

/* The label of mounts that are made now, NULL if there is none to give; file systems without labels of their own
 * (procfs, sysfs, cgroup2, mqueue) take none. Pure. */
const char *lsm_mount_label(const struct lsm *lsm, const char *type, const char *label);
