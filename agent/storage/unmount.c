/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting a storage. Runs in workers only: may block. */
#include "agent/storage/unmount.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

/* A process that was just killed may hold the mount for a moment: 5 ms, doubled, half a second in all. */
#define FIRST_WAIT_NS 5000000L
#define WAITS         7

/* From the inside out, until one was there before or is not empty. */
static void
remove_made(const struct unmount *u)
{
	char path[PATH_MAX];
	char *slash;

	(void)snprintf(path, sizeof(path), "%s", u->path);
	for (unsigned int i = 0; i < u->made; i++) {
		if (rmdir(path) < 0 && (errno != ENOTDIR || unlink(path) < 0)) /* a bind's file */
			return;
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			return;
		*slash = '\0';
	}
}

int
storage_unmount_work(struct worker *w, void *arg, struct error *err)
{
	const struct unmount *u = arg;
	struct timespec wait = { .tv_nsec = FIRST_WAIT_NS };
	int r = u->mounted ? umount2(u->path, UMOUNT_NOFOLLOW) : 0;

	(void)w;
	for (int i = 0; r < 0 && errno == EBUSY && i < WAITS; i++) {
		(void)nanosleep(&wait, NULL);
		wait.tv_nsec *= 2;
		r = umount2(u->path, UMOUNT_NOFOLLOW);
	}
	if (r < 0 && errno == EBUSY)
		r = umount2(u->path, UMOUNT_NOFOLLOW | MNT_DETACH);
	if (r < 0 && errno != EINVAL && errno != ENOENT) /* not mounted, or gone: as wanted */
		return error_sys(err, "unmount %s", u->path);
	remove_made(u);
	return 0;
}
