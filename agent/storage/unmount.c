/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounts a storage through file descriptors that were opened when it was mounted. Worker only:
 * may block. */
#include "agent/storage/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/job/worker.h"
#include "agent/storage/mirror.h"
#include "lib/cleanup.h"
#include "lib/unmount.h"

/* A process that was just killed may keep the mount busy briefly: 5 ms, doubled, 500 ms in
 * total. */
#define FIRST_WAIT_NS 5000000L
#define WAITS         7

/* Returns whether name is this file. If it is another file, errno is 0. */
static bool
is_file(int dir, const char *name, const struct storage_file *file, struct stat *st)
{
	errno = 0;
	return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0 && st->st_dev == file->dev &&
	       st->st_ino == file->ino && file->ino != 0;
}

/* Removes one directory or file that was created for the mount. Returns true if it is gone; a
 * previous worker that was killed may have removed it. */
static bool
remove_one(int dir, const char *name, const struct storage_file *file)
{
	struct stat st;

	if (!is_file(dir, name, file, &st))
		return errno == ENOENT;
	return unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT;
}

/* Removes the created directories from the inside out, up to one that existed before, is not empty,
 * or was moved. */
static void
remove_made(const struct unmount *u)
{
	char path[PATH_MAX];
	auto_close int up = -1;
	int dir = u->place.parent;

	(void)snprintf(path, sizeof(path), "%s", u->path);
	for (unsigned int i = 0; i < u->made && i < STORAGE_MADE_MAX; i++) {
		char *slash = strrchr(path, '/');
		int next;

		if (!slash || !remove_one(dir, slash + 1, &u->files[i]))
			return;
		*slash = '\0';
		/* The parent may have moved: each entry is checked before it is removed. */
		next = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return;
		close_fd(&up);
		dir = up = next;
	}
}

static int
unmount(const struct unmount *u)
{
	struct timespec wait = { .tv_nsec = FIRST_WAIT_NS };
	int r = unmount_upon(u->place.fd, u->id, 0);

	for (int i = 0; r < 0 && errno == EBUSY && i < WAITS; i++) {
		(void)nanosleep(&wait, NULL);
		wait.tv_nsec *= 2;
		r = unmount_upon(u->place.fd, u->id, 0);
	}
	return r < 0 && errno == EBUSY ? unmount_upon(u->place.fd, u->id, MNT_DETACH) : r;
}

int
storage_unmount_work(struct worker *w, void *arg, struct error *err)
{
	const struct unmount *u = arg;

	/* A previous worker did everything, but died before it could report that. */
	if (u->place.fd < 0)
		return 0;
	if (u->id > 0 && unmount(u) < 0)
		return error_sys(err, "failed to unmount %s", u->path);
	if (u->driver->unmounted && !u->is_released) {
		if (worker_send(w, UNMOUNT_MSG_RELEASING, NULL, 0, NULL, 0, true, err) < 0)
			return -1;
		u->driver->unmounted(w, u->mount);
	}
	if (u->has_copy && mirror_remove(u->place.fd, err) < 0)
		return -1;
	remove_made(u);
	return worker_send(w, UNMOUNT_MSG_CLOSE, NULL, 0, NULL, 0, true, err);
}
