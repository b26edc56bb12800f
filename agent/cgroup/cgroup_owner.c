/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation of a container's cgroup to its user, before any process of the container runs
 * (cgroup_owner.h). */
#include "agent/cgroup/cgroup_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* Limit on the kernel's list, in bytes. */
#define DELEGATE_MAX 1024

/* The list for kernels before 4.15, which do not provide it. */
static const char usual[] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

static bool
cgroup_owner_is_writable(const Grpc__Mount *m)
{
	bool read_only = false;

	if (strcmp(m->type, "cgroup") != 0 && strcmp(m->type, "cgroup2") != 0)
		return false;
	for (size_t i = 0; i < m->n_options; i++) {
		if (strcmp(m->options[i], "ro") == 0 || strcmp(m->options[i], "rro") == 0)
			read_only = true;
		else if (strcmp(m->options[i], "rw") == 0)
			read_only = false;
	}
	return !read_only;
}

bool
cgroup_is_mounted_writable(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (cgroup_owner_is_writable(spec->mounts[i]))
			return true;
	}
	return false;
}

static int
cgroup_owner_give_files(int fd, char *names, uid_t uid, struct error *err)
{
	char *rest = NULL;

	for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		if (strchr(name, '/'))
			continue;
		if (fchownat(fd, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return error_sys(
				err, "failed to change the owner of %.64s in the cgroup to user %u",
				name, uid);
	}
	return 0;
}

int
cgroup_give(int fd, int sys_fd, uid_t uid, struct error *err)
{
	char names[DELEGATE_MAX];

	if (uid == 0)
		return 0;
	if (read_text_at(sys_fd, "kernel/cgroup/delegate", names, sizeof(names)) <= 0)
		memcpy(names, usual, sizeof(usual));
	if (fchown(fd, uid, (gid_t)-1) < 0)
		return error_sys(err, "failed to change the owner of the cgroup to user %u", uid);
	return cgroup_owner_give_files(fd, names, uid, err);
}
