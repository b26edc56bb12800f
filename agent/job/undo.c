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
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/unmount.h"

#define KILL_WAIT_MS 2000

static bool
is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR;
}

static int
undo_umount(const struct journal_step *step, struct error *err)
{
	if (unmount_upon(step->fd, step->id, MNT_DETACH) < 0)
		return error_sys(err, "unmount %s", step->name);
	return 0;
}

/* Is the entry what the step has made? A worker that was killed may not have said what that was: then a directory is
 * taken for it, which goes only if it is empty, and so is an empty file. */
static bool
is_made(const struct journal_step *step)
{
	struct stat st;

	if (step->taken == JOURNAL_NOT_TAKEN ||
	    fstatat(step->fd, step->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (step->taken == JOURNAL_TAKEN)
		return st.st_dev == step->dev && st.st_ino == step->ino;
	return step->kind == UNDO_RMDIR ? S_ISDIR(st.st_mode)
					: S_ISREG(st.st_mode) && st.st_size == 0;
}

static int
undo_entry(const struct journal_step *step, struct error *err)
{
	int flags = step->kind == UNDO_RMDIR ? AT_REMOVEDIR : 0;

	if (!is_made(step) || unlinkat(step->fd, step->name, flags) == 0)
		return 0;
	/* EBUSY: something is mounted there that is not the step's */
	if (flags && (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY))
		return 0;
	return is_gone(errno) ? 0 : error_sys(err, "remove %s", step->name);
}

static int
undo_kill(const struct journal_step *step, struct error *err)
{
	struct pollfd ended = { .fd = step->fd, .events = POLLIN };
	uint64_t end = monotonic_ns() + KILL_WAIT_MS * 1000000ull;
	int r;

	if (sys_pidfd_send_signal(step->fd, SIGKILL) < 0)
		return errno == ESRCH ? 0 : error_sys(err, "kill process %d", (int)step->id);
	do
		r = poll(&ended, 1, monotonic_ms_until(end));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(err, ERROR_INTERNAL, "process %d did not die", (int)step->id);
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

		n = RETRY_EINTR(pread(fd, text, sizeof(text) - 1, 0));
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
	/* closed when all was undone, by a worker that was killed then */
	if (step->fd < 0 && step->kind != UNDO_CGROUP)
		return 0;
	switch (step->kind) {
	case UNDO_UMOUNT:
		return undo_umount(step, err);
	case UNDO_RMDIR:
	case UNDO_UNLINK:
		return undo_entry(step, err);
	case UNDO_CGROUP:
		return undo_cgroup(j, step->name, err);
	case UNDO_KILL:
		return undo_kill(step, err);
	}
	return error_set(err, ERROR_INTERNAL, "unknown undo record %d", (int)step->kind);
}

int
journal_undo(struct worker *w, void *journal, struct error *err)
{
	const struct journal *j = journal;
	struct error ignored = ERROR_INIT;
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
	/* the agent closes its fds before this worker does */
	(void)worker_send(w, 0, NULL, 0, NULL, 0, true, &ignored);
	return result;
}
