/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps shared by several modules, and their undo: a directory, a file, a mount, a process. The
 * rest of this directory does not depend on the kinds of steps. Worker only: may block.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/unmount.h"

static int
steps_announce(struct worker *w, const struct undo_kind *kind, int dirfd, const char *name,
	       struct error *err)
{
	const struct undo undo = { .kind = kind, .fd = dirfd, .name = name };

	return worker_step(w, &undo, err);
}

/* Creates a directory whose step is in the journal, and reports the outcome. Returns 1 if created,
 * 0 if it existed, -1 and err. */
static int
steps_mkdir(struct worker *w, int step, int dirfd, const char *name, mode_t mode, struct stat *st,
	    struct error *err)
{
	if (mkdirat(dirfd, name, mode) < 0) {
		if (errno != EEXIST)
			return error_sys(err, "failed to create directory %s", name);
		return worker_step_taken(w, step, NULL, err);
	}
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to stat directory %s", name);
	return worker_step_taken(w, step, st, err) < 0 ? -1 : 1;
}

int
worker_mkdir(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
	     struct error *err)
{
	int step = worker_announce_mkdir(w, dirfd, name, err), result;
	struct stat st;

	if (step < 0 || worker_settle(w, err) < 0)
		return -1;
	result = steps_mkdir(w, step, dirfd, name, mode, &st, err);
	if (result > 0 && made)
		*made = st;
	return result;
}

int
worker_announce_mkdir(struct worker *w, int dirfd, const char *name, struct error *err)
{
	const struct undo undo = { .kind = &undo_rmdir, .fd = dirfd, .name = name };

	return worker_announce(w, &undo, err);
}

int
worker_mkdir_announced(struct worker *w, int step, int dirfd, const char *name, mode_t mode,
		       struct error *err)
{
	struct stat st;

	if (worker_settle(w, err) < 0)
		return -1;
	return steps_mkdir(w, step, dirfd, name, mode, &st, err);
}

int
worker_create(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
	      struct error *err)
{
	struct stat st;
	auto_close int fd = -1;
	int errnum;

	if (steps_announce(w, &undo_unlink, dirfd, name, err) < 0)
		return -1;
	/* O_EXCL: an existing file is neither followed nor truncated. */
	fd = path_try_open(dirfd, name, O_CREAT | O_EXCL | O_WRONLY, mode, PATH_FOLLOW_PARENT);
	if (fd < 0) {
		errnum = errno;
		if (worker_taken(w, NULL, err) < 0)
			return -1;
		errno = errnum;
		return error_sys_code(err, errnum == EEXIST ? ERROR_ALREADY_EXISTS : ERROR_INTERNAL,
				      "failed to create file %s", name);
	}
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat file %s", name);
	if (made)
		*made = st;
	return worker_taken(w, &st, err) < 0 ? -1 : steal_fd(&fd);
}

int
worker_mount(struct worker *w, int tree, int point, const char *name, int32_t *id,
	     struct error *err)
{
	const struct undo undo = {
		.kind = &undo_umount,
		.fd = point,
		.id = sys_mount_id(tree, "", AT_EMPTY_PATH),
		.name = name,
	};

	if (undo.id < 0)
		return error_sys(err, "failed to read the id of the mount at %s", name);
	if (worker_step(w, &undo, err) < 0)
		return -1;
	if (sys_move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return error_sys(err, "failed to attach a mount at %s", name);
	if (id)
		*id = undo.id;
	return 0;
}

/* ---- undo ---- */

static bool
steps_is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR;
}

static int
steps_umount(const struct step *step, struct error *err)
{
	if (unmount_upon(step->fd, step->id, MNT_DETACH) < 0)
		return error_sys(err, "failed to unmount %s", step->name);
	return 0;
}

/* Returns whether the entry is the one that the step has created. If a worker was killed before
 * it could report that, any directory is accepted, which is removed only if empty, and any empty
 * file. */
static bool
steps_is_made(const struct step *step)
{
	struct stat st;

	if (step->result == STEP_NOT_TAKEN ||
	    fstatat(step->fd, step->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (step->result == STEP_TAKEN)
		return st.st_dev == step->dev && st.st_ino == step->ino;
	return step->kind == &undo_rmdir ? S_ISDIR(st.st_mode)
					 : S_ISREG(st.st_mode) && st.st_size == 0;
}

static int
steps_remove(const struct step *step, struct error *err)
{
	int flags = step->kind == &undo_rmdir ? AT_REMOVEDIR : 0;

	if (!steps_is_made(step) || unlinkat(step->fd, step->name, flags) == 0)
		return 0;
	/* EBUSY: another mount covers it. */
	if (flags && (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY))
		return 0;
	return steps_is_gone(errno) ? 0 : error_sys(err, "failed to remove %s", step->name);
}

static int
steps_kill(const struct step *step, struct error *err)
{
	struct pollfd ended = { .fd = step->fd, .events = POLLIN };
	uint64_t end = deadline_in(UNDO_WAIT_MS);
	int r;

	if (sys_pidfd_send_signal(step->fd, SIGKILL) < 0)
		return errno == ESRCH ? 0
				      : error_sys(err, "failed to kill process %d", (int)step->id);
	do
		r = poll(&ended, 1, deadline_left_ms(end));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(err, ERROR_INTERNAL, "process %d did not die after SIGKILL",
				 (int)step->id);
	return 0;
}

const struct undo_kind undo_umount = { .name = "unmount", .undo = steps_umount };
const struct undo_kind undo_rmdir = { .name = "remove directory", .undo = steps_remove };
const struct undo_kind undo_unlink = { .name = "remove file", .undo = steps_remove };
const struct undo_kind undo_kill = { .name = "kill process", .undo = steps_kill };
