/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes back the steps of a job that did not succeed, latest first. Runs in a worker of its own, which may be
 * left to itself after its deadline: so each step counts alone, and what is gone already is success.
 */
#include "agent/job/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
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
	uint64_t end = deadline_in(KILL_WAIT_MS);
	int r;

	if (sys_pidfd_send_signal(step->fd, SIGKILL) < 0)
		return errno == ESRCH ? 0 : error_sys(err, "kill process %d", (int)step->id);
	do
		r = poll(&ended, 1, deadline_left_ms(end));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(err, ERROR_INTERNAL, "process %d did not die", (int)step->id);
	return 0;
}

static int
undo_cgroup(const struct journal *j, const char *path, struct error *err)
{
	while (*path == '/')
		path++;
	if (j->cgroup_root < 0 || *path == '\0')
		return 0;
	if (!j->remove_cgroup)
		return error_set(err, ERROR_INTERNAL, "remove cgroup %s: no way to do it", path);
	return j->remove_cgroup(j->cgroup_root, path, KILL_WAIT_MS, err);
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
	(void)worker_send(w, UNDO_MSG_DONE, NULL, 0, NULL, 0, true, &ignored);
	return result;
}
