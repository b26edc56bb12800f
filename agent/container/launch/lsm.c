/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of Linux security modules. The modules are detected at start; new processes apply the
 * labels. */
#include "agent/container/launch/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define APPARMOR_PROFILE_MAX 4096
#define ATTR                 "thread-self/attr/"

struct lsm
lsm_detect(int sys_fd)
{
	char enabled[8];
	struct stat st;

	return (struct lsm){
		.apparmor = read_text_at(sys_fd, "module/apparmor/parameters/enabled", enabled,
					 sizeof(enabled)) > 0 &&
			    enabled[0] == 'Y',
		/* The mount point of selinuxfs, which the kernel makes if SELinux is enabled. */
		.selinux = fstatat(sys_fd, "fs/selinux", &st, 0) == 0,
	};
}

struct lsm_missing
lsm_missing(const struct lsm *lsm, const Grpc__Process *process, const char *mount_label)
{
	const char *profile = process->apparmorprofile;

	return (struct lsm_missing){
		.apparmor = !lsm->apparmor && *profile && strcmp(profile, "unconfined") != 0,
		.selinux =
			!lsm->selinux && (*process->selinuxlabel || (mount_label && *mount_label)),
	};
}

/* Writes a label. Kernels before 5.8 have no directory for each module, but one file for the
 * first module. */
static int
lsm_write_attr(int proc_fd, const char *file, const char *shared, const char *text)
{
	auto_close int fd = openat(proc_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && shared)
		fd = openat(proc_fd, shared, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write_full(fd, text, strlen(text));
}

static int
lsm_apply_apparmor(int proc_fd, const char *profile, struct error *err)
{
	char text[APPARMOR_PROFILE_MAX + 8];

	if (!*profile)
		return 0;
	if (snprintf(text, sizeof(text), "exec %s", profile) >= (int)sizeof(text))
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.apparmorProfile: too long");
	if (lsm_write_attr(proc_fd, ATTR "apparmor/exec", ATTR "exec", text) == 0)
		return 0;
	if (errno == ENOENT)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"process.apparmorProfile: profile %.128s is not loaded in the guest",
			profile);
	return error_sys(err, "process.apparmorProfile: failed to apply %.128s", profile);
}

static int
lsm_apply_selinux(int proc_fd, const char *label, struct error *err)
{
	if (!*label)
		return 0;
	/* Also the label of the session keyring that the process creates. */
	if (lsm_write_attr(proc_fd, ATTR "exec", NULL, label) == 0 &&
	    lsm_write_attr(proc_fd, ATTR "keycreate", NULL, label) == 0)
		return 0;
	return error_sys_code(err, errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
			      "process.selinuxLabel: failed to apply %.128s", label);
}

int
lsm_apply(int proc_fd, const struct lsm *lsm, const Grpc__Process *process, struct error *err)
{
	if (lsm->apparmor && lsm_apply_apparmor(proc_fd, process->apparmorprofile, err) < 0)
		return -1;
	return lsm->selinux ? lsm_apply_selinux(proc_fd, process->selinuxlabel, err) : 0;
}

const char *
lsm_mount_label(const struct lsm *lsm, const char *type, const char *label)
{
	static const char *const without[] = { "proc", "sysfs", "cgroup", "cgroup2", "mqueue" };

	if (!lsm->selinux || !*label)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		if (strcmp(without[i], type) == 0)
			return NULL;
	}
	return label;
}
