/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes back the steps of a job that did not succeed, latest first. Runs in a worker of its own, which may be
 * left to itself after its deadline: so each step counts alone, and what is gone already is success.
 */
#include "agent/job/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"

#define KILL_WAIT_MS 2000

static bool
is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR;
}

/* Is something mounted at path, upon the mount `below`? The list tells without a look at what may hang. */
static bool
is_mounted_upon(int below, const char *path)
{
	struct error err = ERROR_INIT;
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	struct mountinfo m;
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (mountinfo_parse(line, &m) && m.parent == below && strcmp(m.point, path) == 0)
			return true;
	return !text;
}

static int
undo_umount(const char *path, int below, struct error *err)
{
	/* announced but not taken: what is mounted there belongs to somebody else */
	if (below > 0 && !is_mounted_upon(below, path))
		return 0;
	/* EINVAL: nothing is mounted there, the step was announced but not taken. */
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && !is_gone(errno))
		return error_sys(err, "unmount %s", path);
	return 0;
}

static int
undo_rmdir(const char *path, struct error *err)
{
	if (rmdir(path) < 0 && errno != ENOTEMPTY && errno != EEXIST && !is_gone(errno))
		return error_sys(err, "remove directory %s", path);
	return 0;
}

static int
undo_unlink(const char *path, struct error *err)
{
	if (unlink(path) < 0 && !is_gone(errno))
		return error_sys(err, "remove %s", path);
	return 0;
}

static int
undo_remove_tree(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *parent = NULL;
	auto_close int fd = -1;

	if (!slash || slash[1] == '\0')
		return error_set(err, ERROR_INTERNAL, "remove %s: not a path below a directory",
				 path);
	parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!parent)
		return error_nomem(err, "removing a tree");
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return is_gone(errno) ? 0 : error_sys(err, "open %s", parent);
	return path_remove_tree(fd, slash + 1, err);
}

static int
undo_kill(const struct journal *j, pid_t pid, struct error *err)
{
	auto_close int own = -1;
	int pidfd = -1;

	for (size_t i = 0; i < j->n_procs && pidfd < 0; i++) {
		if (j->procs[i].pid == pid)
			pidfd = j->procs[i].pidfd;
	}
	if (pidfd < 0)
		pidfd = own = sys_pidfd_open(pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : error_sys(err, "find process %d", (int)pid);
	if (sys_pidfd_send_signal(pidfd, SIGKILL) < 0)
		return errno == ESRCH ? 0 : error_sys(err, "kill process %d", (int)pid);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	if (poll(&ended, 1, KILL_WAIT_MS) == 0)
		return error_set(err, ERROR_INTERNAL, "process %d did not die", (int)pid);
	return 0;
}

/* Waits until cgroup.events says that nothing lives at and below dir. */
static int
cgroup_wait_empty(int dir, const char *path, struct error *err)
{
	uint64_t end = monotonic_ns() + KILL_WAIT_MS * 1000000ull;
	auto_close int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n;

	if (fd < 0)
		return is_gone(errno) ? 0 : error_sys(err, "open cgroup.events of %s", path);
	for (;;) {
		struct pollfd changed = { .fd = fd, .events = POLLPRI };

		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return errno == ENODEV ? 0
					       : error_sys(err, "read cgroup.events of %s", path);
		text[n] = '\0';
		if (strstr(text, "populated 0"))
			return 0;
		if (monotonic_ns() >= end)
			return error_set(err, ERROR_INTERNAL, "cgroup %s does not get empty", path);
		(void)poll(&changed, 1, 100);
	}
}

/* Removes the cgroups below dir, deepest first; a tree of directories that we named, of bounded depth. */
static int
cgroup_remove_below(int dir, int depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!entries) {
		close_fd(&fd);
		return -1;
	}
	while (depth > 0 && (e = readdir(entries))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		auto_close int sub =
			openat(dir, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			(void)cgroup_remove_below(sub, depth - 1);
		(void)unlinkat(dir, e->d_name, AT_REMOVEDIR);
	}
	(void)closedir(entries);
	return 0;
}

static int
undo_cgroup(const struct journal *j, const char *path, struct error *err)
{
	auto_close int dir = -1;

	while (*path == '/')
		path++;
	if (j->cgroup_root < 0 || *path == '\0')
		return 0;
	dir = path_try_open(j->cgroup_root, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (dir < 0)
		return is_gone(errno) ? 0 : error_sys(err, "open cgroup %s", path);
	/* Absent in the root of a hierarchy without it and on made-up trees: then rmdir tells. */
	(void)write_text_at(dir, "cgroup.kill", "1");
	if (cgroup_wait_empty(dir, path, err) < 0)
		return -1;
	(void)cgroup_remove_below(dir, 16);
	if (unlinkat(j->cgroup_root, path, AT_REMOVEDIR) < 0 && !is_gone(errno))
		return error_sys(err, "remove cgroup %s", path);
	return 0;
}

static int
undo_step(const struct journal *j, const struct journal_step *step, struct error *err)
{
	switch (step->kind) {
	case UNDO_UMOUNT:
		return undo_umount(step->path, step->pid, err);
	case UNDO_RMDIR:
		return undo_rmdir(step->path, err);
	case UNDO_UNLINK:
		return undo_unlink(step->path, err);
	case UNDO_REMOVE_TREE:
		return undo_remove_tree(step->path, err);
	case UNDO_CGROUP:
		return undo_cgroup(j, step->path, err);
	case UNDO_KILL:
		return undo_kill(j, step->pid, err);
	}
	return error_set(err, ERROR_INTERNAL, "unknown undo record %d", (int)step->kind);
}

int
journal_undo(struct worker *w, void *journal, struct error *err)
{
	const struct journal *j = journal;
	int result = 0;

	for (size_t i = j->n; i-- > 0;) {
		struct error failed = ERROR_INIT;

		if (undo_step(j, &j->steps[i], &failed) == 0)
			continue;
		worker_log(w, LOG_LEVEL_WARN, "%s", failed.msg);
		if (result == 0)
			*err = failed;
		result = -1;
	}
	return result;
}
