/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of Linux security modules: process.apparmorProfile, process.selinuxLabel,
 * linux.mountLabel. A process sets them through its attributes in the agent's procfs, which
 * containers cannot mount over, before it accesses files of the container.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* The modules that the kernel has enabled. */
struct lsm {
	bool apparmor, selinux;
};

/* Detects the enabled modules through sys_fd, a sysfs root. Never blocks. */
struct lsm lsm_detect(int sys_fd);

/* The modules that are required by labels and not enabled. */
struct lsm_missing {
	bool apparmor, selinux;
};
/* Returns the modules that the labels require and that are not enabled. mount_label may be NULL.
 * Pure. */
struct lsm_missing lsm_missing(const struct lsm *lsm, const Grpc__Process *process,
			       const char *mount_label);

/* Sets the labels for the caller's next execve, if their module is enabled. proc_fd is a procfs
 * root that shows the caller. Returns 0, or -1 and err: INVALID_ARGUMENT with the field's name
 * for a profile that is not loaded or a label unknown to the policy. */
int lsm_apply(int proc_fd, const struct lsm *lsm, const Grpc__Process *process, struct error *err);

/* Returns the label for a new mount of this type, or NULL; procfs, sysfs, cgroup2 and mqueue do
 * not support one. Pure. */
const char *lsm_mount_label(const struct lsm *lsm, const char *type, const char *label);
