/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Maximum number of stacked mounts. */
#define STACK_MAX 64

static int unmount_look(int point, int id);

int
unmount_upon(int point, int id, int flags)
{
	char path[64];

	/* umount2(2) removes the topmost mount at the point. If there is none, it could remove the
	 * mount that contains the point, so the id is checked before each call. */
	for (int i = 0; i < STACK_MAX; i++) {
		int found = id > 0 ? unmount_look(point, id) : 1;

		if (found <= 0)
			return found;
		if (umount2(path_of_fd(point, path), flags) < 0)
			return errno == EINVAL || errno == ENOENT ? 0 : -1;
		if (id == 0)
			return 0;
	}
	errno = EBUSY;
	return -1;
}

/* Returns 1 if the mount `id` is mounted on `point`, 0 if not, or -1 and errno if the list of
 * mounts cannot be read. */
static int
unmount_look(int point, int id)
{
	struct error err = ERROR_INIT;
	int below = sys_mount_id(point, "", AT_EMPTY_PATH);
	auto_free char *text = NULL;
	struct mountinfo m;
	char *rest, *line;

	if (below < 0)
		return -1;
	text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	if (!text) {
		errno = err.errnum ? err.errnum : ENOMEM;
		return -1;
	}
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (mountinfo_parse(line, &m) && m.id == id && m.parent == below)
			return 1;
	return 0;
}
