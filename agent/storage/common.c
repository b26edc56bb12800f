/* SPDX-License-Identifier: Apache-2.0 */
/* What storage drivers share: mount points, options, fs_group. Runs in workers only: may block. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/point.h"
#include "lib/cleanup.h"
#include "lib/mountopt.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Options that are meant for an agent, not for the kernel. */
static const char *const not_for_kernel[] = { "io.katacontainers.", "X-kata.", "fsgid=", NULL };

const char *
storage_option(const struct storage_spec *spec, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < spec->n_options; i++)
		if (strncmp(spec->options[i], key, len) == 0 && spec->options[i][len] == '=')
			return spec->options[i] + len + 1;
	return NULL;
}

/* Announces every directory on the way that is missing, the outermost first; counts them. */
static int
announce_missing(struct worker *w, const struct storage_mount *m, unsigned int *missing,
		 struct error *err)
{
	const char *path = m->spec->mount_point;
	size_t len = strlen(path);

	for (size_t i = 1; i <= len; i++) {
		char prefix[PATH_MAX];
		int fd;

		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
		/* a link is there, wherever it leads */
		fd = path_try_open(m->roots->root, prefix, O_PATH, 0, PATH_FOLLOW_PARENT);
		if (fd >= 0) {
			(void)close(fd);
			continue;
		}
		/* what cannot be looked at may be there: it is not ours to remove */
		if (errno != ENOENT)
			return error_sys(err, "look at %s", prefix);
		++*missing;
		/* undone by rmdir or unlink, whichever it has become */
		if (worker_step_path(w, UNDO_UNLINK, err, "%s", prefix) < 0 ||
		    worker_step_path(w, UNDO_RMDIR, err, "%s", prefix) < 0)
			return -1;
	}
	return 0;
}

/* The path of an fd without symlinks. */
static int
real_path(int fd, char out[PATH_MAX], struct error *err)
{
	char link[64];
	ssize_t n = readlink(path_of_fd(fd, link), out, PATH_MAX - 1);

	if (n < 0)
		return error_sys(err, "find the real path of a mount point");
	out[n] = '\0';
	return 0;
}

int
storage_make_point(struct worker *w, const struct storage_mount *m, bool file, struct error *err)
{
	const char *path = m->spec->mount_point;
	struct storage_point point = { 0 };
	auto_close int fd = -1;

	if (announce_missing(w, m, &point.made, err) < 0)
		return -1;
	fd = path_make_target(m->roots->root, path, !file, file ? 0644 : 0755, err);
	if (fd < 0)
		return error_wrap(err, "make mount point %s", path);
	/* the path without symlinks is what is unmounted later */
	if (real_path(fd, point.path, err) < 0 ||
	    worker_send(w, STORAGE_MSG_POINT, &point,
			offsetof(struct storage_point, path) + strlen(point.path) + 1, NULL, 0,
			false, err) < 0)
		return -1;
	return steal_fd(&fd);
}

static int
collect_options(const struct storage_spec *spec, const char *const *extra, struct mountopts *o,
		struct error *err)
{
	for (size_t i = 0; i < spec->n_options; i++) {
		if (strcmp(spec->options[i], "loop") == 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mount option \"loop\" is not supported");
		if (mountopts_add(o, spec->options[i], not_for_kernel) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mount options are longer than one page");
	}
	for (; extra && *extra; extra++)
		if (mountopts_add(o, *extra, NULL) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mount options are longer than one page");
	return 0;
}

static int
mount_first(const char *source, const char *target, const char *fstype, const struct mountopts *o)
{
	unsigned long flags = (o->flags & MS_BIND) ? o->flags & (MS_BIND | MS_REC) : o->flags;

	return mount(source, target, fstype, flags, (o->flags & MS_BIND) ? NULL : o->data);
}

/* A bind takes its flags in a second call, propagation is set in a third (mount(2)). They are about the new mount's own
 * root: what was opened before it came lies below. */
static int
mount_again(int mounted, const struct mountopts *o)
{
	unsigned long later = o->flags & ~(unsigned long)(MS_BIND | MS_REC | MS_REMOUNT);
	char target[64];

	(void)path_of_fd(mounted, target);
	if ((o->flags & MS_BIND) && later &&
	    mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | later, NULL) < 0)
		return -1;
	return o->propagation ? mount(NULL, target, NULL, o->propagation, NULL) : 0;
}

/* What is about to be mounted at fd: if nothing comes of it, a mount that was there before stays. */
static int
announce_mount(struct worker *w, int fd, struct error *err)
{
	int below = sys_mount_id(fd, "", AT_EMPTY_PATH);
	struct undo undo = { .kind = UNDO_UMOUNT, .below = below };

	if (below < 0)
		return error_sys(err, "find the mount below a mount point");
	return real_path(fd, undo.path, err) < 0 ? -1 : worker_step(w, &undo, err);
}

void
storage_await_disk(const struct roots *roots, const char *node)
{
	for (long ms = 1; ms < 1000; ms *= 2) {
		const struct timespec pause = { .tv_nsec = ms * 1000000 };
		auto_close int fd =
			path_try_open(roots->root, node, O_RDONLY | O_NONBLOCK, 0, PATH_FOLLOW_ALL);

		if (fd >= 0 || errno != ENXIO)
			return;
		(void)nanosleep(&pause, NULL);
	}
}

int
storage_mount_common(struct worker *w, const struct storage_mount *m, const char *source,
		     const char *fstype, const char *const *extra, struct error *err)
{
	const struct storage_spec *spec = m->spec;
	struct mountopts o = { 0 };
	char target[64];
	struct stat st;
	bool file = false;
	auto_close int fd = -1;
	auto_close int mounted = -1;

	if (collect_options(spec, extra, &o, err) < 0)
		return error_wrap(err, "mount %s on %s", source, spec->mount_point);
	if (o.flags & MS_BIND)
		file = stat(source, &st) == 0 && !S_ISDIR(st.st_mode);
	fd = storage_make_point(w, m, file, err);
	if (fd < 0)
		return -1;
	if (announce_mount(w, fd, err) < 0)
		return -1;
	if (mount_first(source, path_of_fd(fd, target), fstype, &o) < 0)
		return error_sys(err, "mount %s (type %s, options \"%s\") on %s", source, fstype,
				 o.data, spec->mount_point);
	mounted = path_open(m->roots->root, spec->mount_point, O_PATH, 0, PATH_FOLLOW_ALL, err);
	if (mounted < 0)
		return error_wrap(err, "mount %s", source);
	if (mount_again(mounted, &o) < 0)
		return error_sys(err, "set the flags of %s on %s", source, spec->mount_point);
	if (spec->has_fs_group && storage_apply_fs_group(m, mounted, err) < 0)
		return error_wrap(err, "give %s to group %u", spec->mount_point, spec->fs_group_id);
	return 0;
}

/* Modes that a group needs (agent-side fsGroup of Kubernetes): read and write, search and setgid for directories. */
#define GROUP_BITS     ((mode_t)0660)
#define DIRECTORY_BITS ((mode_t)(0110 | S_ISGID))

static int
change_fd(int fd, const struct stat *st, gid_t gid)
{
	char name[64];
	mode_t mode = (st->st_mode & 07777) | GROUP_BITS;

	if (S_ISDIR(st->st_mode))
		mode |= DIRECTORY_BITS;
	if (st->st_gid != gid && fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0)
		return -1;
	/* after the chown, which clears setgid bits */
	return chmod(path_of_fd(fd, name), mode);
}

static int
change_entry(int dirfd, const char *name, const struct stat *st, void *data, struct error *err)
{
	const gid_t *gid = data;
	struct stat now;
	auto_close int fd = -1;

	if (S_ISLNK(st->st_mode))
		return 0;
	fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, "open %s", name);
	if (fstat(fd, &now) < 0 || S_ISLNK(now.st_mode))
		return 0;
	if (change_fd(fd, &now, *gid) < 0)
		return error_sys(err, "change group and mode of %s", name);
	return 0;
}

int
storage_apply_fs_group(const struct storage_mount *m, int fd, struct error *err)
{
	const struct storage_spec *spec = m->spec;
	const mode_t needed = GROUP_BITS | DIRECTORY_BITS;
	struct mountopts o = { 0 };
	gid_t gid = spec->fs_group_id;
	struct stat st;
	auto_close int dir = -1;

	if (collect_options(spec, NULL, &o, err) < 0)
		return -1;
	if (o.flags & MS_RDONLY)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at the mount point");
	if (spec->fs_group_policy == 1 && st.st_gid == gid && (st.st_mode & needed) == needed)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return change_fd(fd, &st, gid) < 0 ? error_sys(err, "change group and mode") : 0;
	dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, "open the mount point");
	return path_walk(dir, change_entry, &gid, err);
}
