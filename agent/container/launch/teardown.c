/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of a container. Runs in a worker, also after a crash, so each part may be missing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/hung.h"
#include "agent/container/launch/launch.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Time for all processes of a container to end after SIGKILL, in milliseconds. */
#define KILL_TIMEOUT_MS 5000

static int teardown_detach_mounts(const struct teardown *t, struct error *err);
static void teardown_detach_in(char *text, const char *dir, int own);

int
container_teardown(struct worker *w, const struct teardown *t, struct error *err)
{
	struct error first = ERROR_INIT;

	hung_sweep(w, t);
	if (t->roots->cgroup >= 0 && t->cgroup_path && *t->cgroup_path &&
	    cgroup_remove(t->roots->cgroup, t->cgroup_path, KILL_TIMEOUT_MS, &first) < 0 &&
	    (first.code != ERROR_DEADLINE_EXCEEDED || hung_leave(w, t, err) < 0))
		return err->code == ERROR_OK
			       ? error_set(err, first.code, "%s", first.msg)
			       : error_set(err, first.code, "%s: %s", first.msg, err->msg);
	if (container_poststop(w, t, err) < 0)
		return error_wrap(err, "failed to run the poststop hooks of container %s", t->id);
	/* Usually nothing is mounted there, and two rmdir(2) are sufficient. */
	auto_close int dir =
		path_try_open(t->roots->run, t->id, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (dir < 0)
		return 0;
	if (unlinkat(dir, "rootfs", AT_REMOVEDIR) == 0 &&
	    unlinkat(t->roots->run, t->id, AT_REMOVEDIR) == 0)
		return 0;
	if (teardown_detach_mounts(t, err) < 0)
		return -1;
	close_fd(&dir);
	if (path_remove_tree(t->roots->run, t->id, err) < 0)
		return error_wrap(err, "failed to remove %s", t->bundle);
	return 0;
}

static int
teardown_detach_mounts(const struct teardown *t, struct error *err)
{
	auto_free char *text = mountinfo_read(t->roots->proc, "self/mountinfo", err);

	int own = sys_mount_id(t->roots->run, "", AT_EMPTY_PATH);

	if (own < 0)
		return error_sys(err, "failed to get the mount id of %s", RUN_DIR);
	if (!text)
		return -1;
	teardown_detach_in(text, t->bundle, own);
	return 0;
}

/* Detaches the mounts at and below `dir`, latest first, with all mounts on them. Only mounts
 * whose parent is `own`, the agent's tmpfs that contains dir, are detached by path: below other
 * mounts a container may have placed a link in the path. */
static void
teardown_detach_in(char *text, const char *dir, int own)
{
	size_t n = strlen(dir);
	char *end = text + strlen(text), *line;
	struct mountinfo m;

	/* Goes from the last line to the first. */
	while (end > text) {
		for (line = end; line > text && line[-1] != '\n'; line--)
			;
		*end = '\0';
		if (mountinfo_parse(line, &m) && m.parent == own && strncmp(m.point, dir, n) == 0 &&
		    (m.point[n] == '/' || !m.point[n]))
			(void)umount2(m.point, MNT_DETACH | UMOUNT_NOFOLLOW);
		end = line > text ? line - 1 : text;
	}
}
