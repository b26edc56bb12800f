/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that make a directory or a file: announced, taken, and told what was made. Worker only: may block. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "lib/cleanup.h"
#include "lib/path.h"

static int
announce(struct worker *w, enum undo_kind kind, int dirfd, const char *name, struct error *err)
{
	const struct undo undo = { .kind = kind, .fd = dirfd, .name = name };

	return worker_step(w, &undo, err);
}

int
worker_mkdir(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
	     struct error *err)
{
	struct stat st;

	if (announce(w, UNDO_RMDIR, dirfd, name, err) < 0)
		return -1;
	if (mkdirat(dirfd, name, mode) < 0) {
		if (errno != EEXIST)
			return error_sys(err, "make directory %s", name);
		return worker_taken(w, NULL, err);
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "look at directory %s", name);
	if (made)
		*made = st;
	return worker_taken(w, &st, err) < 0 ? -1 : 1;
}

int
worker_create(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
	      struct error *err)
{
	struct stat st;
	auto_close int fd = -1;
	int errnum;

	if (announce(w, UNDO_UNLINK, dirfd, name, err) < 0)
		return -1;
	/* O_EXCL: nothing that lies there already is followed or truncated */
	fd = path_try_open(dirfd, name, O_CREAT | O_EXCL | O_WRONLY, mode, PATH_FOLLOW_PARENT);
	if (fd < 0) {
		errnum = errno;
		if (worker_taken(w, NULL, err) < 0)
			return -1;
		errno = errnum;
		return error_sys_code(err, errnum == EEXIST ? ERROR_ALREADY_EXISTS : ERROR_INTERNAL,
				      "make file %s", name);
	}
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at file %s", name);
	if (made)
		*made = st;
	return worker_taken(w, &st, err) < 0 ? -1 : steal_fd(&fd);
}
