/* SPDX-License-Identifier: Apache-2.0 */
/* Shared mounts (shared_mounts.h). Both mount namespaces belong to containers, and their content is
 * not trusted. Paths are resolved confined to the namespace's root, without magic links, and then
 * used through descriptors.
 */
#include "agent/container/rootfs/shared_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mounts.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"

#define WAIT_MS 10000

static int shared_mounts_share(struct worker *w, const struct launch *l,
			       const struct launch_shared *s, int dst_ns, struct error *err);
static int shared_mounts_copy_source(struct worker *w, const struct launch *l,
				     const struct launch_shared *s, struct container_mount *m,
				     struct error *err);
static int shared_mounts_await(const struct launch *l, int root, const char *path);
static void shared_mounts_go_home(const struct launch *l, int own);
static bool shared_procfs_is_of(int fd, int pid_ns);

/* Enters a mount namespace and returns an fd of its root, or -1 and err. `ns` is the namespace
 * or a pidfd of a process in it. */
static int
shared_mounts_enter(int ns, const char *whose, struct error *err)
{
	int root;

	if (setns(ns, CLONE_NEWNS) < 0)
		return error_sys(err, "failed to enter the mount namespace of %s", whose);
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		error_sys(err, "failed to open the root of %s", whose);
	return root;
}

int
shared_mounts_apply(struct worker *w, const struct launch *l, pid_t pid, struct error *err)
{
	auto_close int own = -1;
	auto_close int dst = -1;
	char path[32];
	int result = 0;

	if (!l->n_shared)
		return 0;
	(void)snprintf(path, sizeof(path), "%d/ns/mnt", (int)pid);
	dst = openat(l->roots->proc, path, O_RDONLY | O_CLOEXEC);
	if (dst < 0)
		return error_sys(err, "failed to open the mount namespace of %s", l->id);
	own = openat(l->roots->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return error_sys(err, "failed to open the guest's mount namespace");
	for (size_t i = 0; result == 0 && i < l->n_shared; i++) {
		result = shared_mounts_share(w, l, &l->shared[i], dst, err);
		if (result < 0)
			error_wrap(err, "failed to share mount %s", l->shared[i].dst_path);
	}
	shared_mounts_go_home(l, own);
	return result;
}

static int
shared_mounts_share(struct worker *w, const struct launch *l, const struct launch_shared *s,
		    int dst_ns, struct error *err)
{
	Grpc__Mount spec = GRPC__MOUNT__INIT;
	struct container_mount m = { .spec = &spec, .kind = MOUNT_BIND, .tree = -1 };
	auto_close int root = -1;
	auto_close int mounted = -1;
	bool pending;
	int found = shared_mounts_copy_source(w, l, s, &m, err);

	if (found <= 0)
		return found;
	spec.destination = (char *)(uintptr_t)s->dst_path;
	/* Mounts that the source adds later propagate to the copy, not the other way round. */
	if (mount_set(m.tree, 0, 0, MS_SLAVE, true, err) == 0)
		root = shared_mounts_enter(dst_ns, l->id, err);
	mounted = root < 0 ? -1 : mount_make(root, &m, &pending, err);
	close_fd(&m.tree);
	return mounted < 0 ? -1 : 0;
}

/* Clones the source. Returns 1, 0 if there is no mount, or -1 and err. */
static int
shared_mounts_copy_source(struct worker *w, const struct launch *l, const struct launch_shared *s,
			  struct container_mount *m, struct error *err)
{
	auto_close int root = s->mnt_ns < 0 ? -1 : shared_mounts_enter(s->mnt_ns, s->src_name, err);
	auto_close int fd = root < 0 ? -1 : shared_mounts_await(l, root, s->src_path);
	struct stat st;

	if (s->mnt_ns >= 0 && root < 0)
		return -1;
	if (fd < 0) {
		worker_log(w, LOG_LEVEL_WARN, "container %s: skipping shared mount %s: %s %s",
			   l->id, s->dst_path, s->mnt_ns < 0 ? "no container named" : "no mount at",
			   s->mnt_ns < 0 ? s->src_name : s->src_path);
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat %s", s->src_path);
	m->directory = S_ISDIR(st.st_mode);
	m->tree = sys_open_tree(fd, "",
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (m->tree < 0)
		return error_sys(err, "failed to clone the mount %s", s->src_path);
	return 1;
}

/* Returns an fd of the topmost mount at a path, or -1 if the path is not a mount point. */
static int
shared_mounts_open(int root, const char *path)
{
	auto_close int fd = path_try_open(root, path, O_PATH, 0, PATH_FOLLOW_ALL);

	return fd >= 0 && sys_is_mount_root(fd) == 1 ? steal_fd(&fd) : -1;
}

/* Waits until `path` is a mount point. poll(2) reports POLLPRI on mountinfo when mounts change
 * (proc(5)). Returns its fd, or -1 after WAIT_MS. */
static int
shared_mounts_await(const struct launch *l, int root, const char *path)
{
	auto_close int info = openat(l->roots->proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	uint64_t end = deadline_in(WAIT_MS);

	while (info >= 0) {
		struct pollfd change = { .fd = info, .events = POLLPRI };
		int left = deadline_left_ms(end);
		int fd = shared_mounts_open(root, path);

		if (fd >= 0)
			return fd;
		if (left == 0)
			break;
		(void)poll(&change, 1, left);
	}
	return -1;
}

/* Returns the worker to its own mount namespace and root, or exits: paths must not be resolved
 * in a container afterwards. */
static void
shared_mounts_go_home(const struct launch *l, int own)
{
	if (setns(own, CLONE_NEWNS) < 0 || fchdir(l->roots->root) < 0 || chroot(".") < 0)
		_exit(1);
}

int
shared_procfs(const struct launch *l, int *trees, size_t n, struct error *err)
{
	auto_close int own = openat(l->roots->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	auto_close int root = -1;
	auto_close int fd = -1;
	size_t i = 0;

	if (own < 0)
		return error_sys(err, "failed to open the guest's mount namespace");
	root = shared_mounts_enter(l->pidns_owner, "the owner of the pid namespace", err);
	if (root >= 0) {
		fd = path_try_open(root, "proc", O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
		if (fd < 0 || !shared_procfs_is_of(fd, l->sandbox_ns[NS_PID]))
			error_set(err, ERROR_FAILED_PRECONDITION,
				  "the owner of the pid namespace has no procfs of it at /proc");
		/* A detached clone cannot be cloned again before Linux 6.14. */
		for (; i < n && err->code == ERROR_OK; i++) {
			trees[i] = sys_open_tree(
				fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
			if (trees[i] < 0) {
				error_sys(err, "failed to clone the procfs of the pid namespace");
				break;
			}
		}
	}
	shared_mounts_go_home(l, own);
	if (i == n)
		return 0;
	while (i > 0)
		close_fd(&trees[--i]);
	return -1;
}

/* Returns whether `fd` is the root of a procfs of the pid namespace. */
static bool
shared_procfs_is_of(int fd, int pid_ns)
{
	struct stat first, ns;

	return fd_is_fstype(fd, PROC_SUPER_MAGIC) && sys_is_mount_root(fd) == 1 &&
	       fstatat(fd, "1/ns/pid", &first, 0) == 0 && fstat(pid_ns, &ns) == 0 &&
	       first.st_dev == ns.st_dev && first.st_ino == ns.st_ino;
}
