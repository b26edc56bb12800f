/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting through file descriptors. */
#include "lib/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Mounts that lie upon each other at one place. */
#define STACK_MAX 64

bool
is_mounted_upon(int point, int id)
{
	struct error err = ERROR_INIT;
	int below = sys_mount_id(point, "", AT_EMPTY_PATH);
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	struct mountinfo m;
	char *rest = text, *line;

	if (!text || below < 0)
		return true;
	while ((line = strsep(&rest, "\n")))
		if (mountinfo_parse(line, &m) && m.id == id && m.parent == below)
			return true;
	return false;
}

int
unmount_upon(int point, int id, int flags)
{
	char path[64];

	/* The kernel takes the topmost of those that lie upon each other there. If nothing does, it could be the one in which
	 * the point itself lies: so each time its id is looked for first. */
	for (int i = 0; i < STACK_MAX; i++) {
		if (id > 0 && !is_mounted_upon(point, id))
			return 0;
		if (umount2(path_of_fd(point, path), flags) < 0)
			return errno == EINVAL || errno == ENOENT ? 0 : -1;
		if (id == 0)
			return 0;
	}
	errno = EBUSY;
	return -1;
}
