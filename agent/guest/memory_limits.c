/* SPDX-License-Identifier: Apache-2.0 */
/* Adjusting limits and tmpfs mounts to the size of memory. */
#include "agent/guest/memory_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/job/worker.h"
#include "init/cgroups.h"
#include "init/limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/mountinfo.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"

#define CMDLINE_SIZE 4096

static bool memory_has_pods_limit(int cgroup);
static void memory_limits_warn(struct worker *w, const struct error *err);
static int memory_resize_tmpfs(const struct roots *roots, const char *point, uint64_t before,
			       uint64_t now, struct error *err);
static int memory_set_tmpfs_size(int dir, uint64_t size, bool inodes, struct error *err);

/* Returns the page size: the unit of a tmpfs's blocks and, by default, of its number of inodes. */
static uint64_t
memory_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Returns whether two sizes are about equal. The kernel's size of memory grows a little after boot,
 * when it frees memory that was used for booting. */
static bool
memory_is_about(uint64_t n, uint64_t wanted)
{
	return n + wanted / 32 >= wanted && n <= wanted + wanted / 32;
}

void
memory_limits_follow(const struct roots *roots, bool is_pid1, uint64_t *total, struct worker *w)
{
	char cmdline[CMDLINE_SIZE] = "";
	struct limits_place place = {
		.proc = roots->proc,
		.cgroup = memory_has_pods_limit(roots->cgroup) ? roots->cgroup : -1,
		.cmdline = cmdline,
		.only_raise = !is_pid1,
	};
	struct error err = ERROR_INIT;
	struct limits_size size;
	uint64_t before = *total;

	(void)read_text_at(roots->proc, "cmdline", cmdline, sizeof(cmdline));
	if (limits_measure(&place, &size, &err) < 0) {
		memory_limits_warn(w, &err);
		return;
	}
	*total = size.total;
	if (!is_pid1 && size.total == before)
		return;
	(void)limits_apply(&place, &size, LIMITS_ALL, &err);
	memory_limits_warn(w, &err);
	err = (struct error)ERROR_INIT;
	if (size.total != before && before > 0)
		(void)memory_limits_tmpfs(roots, before, size.total, &err);
	memory_limits_warn(w, &err);
}

/* Returns whether tatami's init has set the limits of the pods. */
static bool
memory_has_pods_limit(int cgroup)
{
	char text[32];
	uint64_t limit;

	return cgroup >= 0 &&
	       read_text_at(cgroup, CGROUP_PODS "/memory.max", text, sizeof(text)) >= 0 &&
	       parse_u64(text, &limit);
}

static void
memory_limits_warn(struct worker *w, const struct error *err)
{
	if (w && err->code != ERROR_OK)
		worker_log(w, LOG_LEVEL_WARN, "%s", err->msg);
}

unsigned int
memory_limits_tmpfs(const struct roots *roots, uint64_t before, uint64_t now, struct error *err)
{
	auto_free char *text = mountinfo_read(roots->proc, "self/mountinfo", err);
	char *rest = text, *line;
	unsigned int failed = text ? 0 : 1;

	while ((line = strsep(&rest, "\n"))) {
		struct error why = ERROR_INIT;
		struct mountinfo m;

		/* other file systems are skipped: a share may not answer */
		if (!strstr(line, " - tmpfs ") || !mountinfo_parse(line, &m) ||
		    memory_resize_tmpfs(roots, m.point, before, now, &why) == 0)
			continue;
		if (failed++ == 0)
			*err = why;
	}
	return failed;
}

static int
memory_resize_tmpfs(const struct roots *roots, const char *point, uint64_t before, uint64_t now,
		    struct error *err)
{
	auto_close int dir =
		path_try_open(roots->root, point, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	uint64_t wanted = limits_tmpfs_size(now), was = limits_tmpfs_size(before);
	struct statfs fs;

	/* hidden by another mount, or unmounted meanwhile */
	if (dir < 0 || fstatfs(dir, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return 0;
	if (!memory_is_about((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize, was))
		return 0;
	if (memory_set_tmpfs_size(dir, wanted,
				  memory_is_about((uint64_t)fs.f_files, was / memory_page_size()),
				  err) < 0)
		return error_wrap(err, "%s", point);
	return 0;
}

static int
memory_set_tmpfs_size(int dir, uint64_t size, bool inodes, struct error *err)
{
	auto_close int fs = sys_fspick(dir, "", SYS_FSPICK_CLOEXEC | SYS_FSPICK_EMPTY_PATH);
	char bytes[32], pages[32];

	(void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)size);
	(void)snprintf(pages, sizeof(pages), "%llu",
		       (unsigned long long)(size / memory_page_size()));
	if (fs < 0 || sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "size", bytes, 0) < 0 ||
	    (inodes && sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "nr_inodes", pages, 0) < 0) ||
	    sys_fsconfig(fs, SYS_FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return error_sys(err, "failed to resize the tmpfs to %s bytes", bytes);
	return 0;
}
