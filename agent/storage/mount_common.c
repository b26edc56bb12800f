/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the storage drivers: mount points, options, fs_group. Worker only: may block. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/device/uevent.h"
#include "agent/job/worker.h"
#include "agent/storage/driver.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/tree.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/mountopt.h"
#include "lib/path.h"
#include "lib/sys.h"

/* For a disk that the kernel does not announce. */
#define AWAIT_MS 1000

/* Options for the agent, not for the kernel. */
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

bool
storage_has_option(const struct storage_spec *spec, const char *option)
{
	for (size_t i = 0; i < spec->n_options; i++)
		if (strcmp(spec->options[i], option) == 0)
			return true;
	return false;
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
					 "mount options exceed one page");
	}
	for (; extra && *extra; extra++)
		if (mountopts_add(o, *extra, NULL) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mount options exceed one page");
	return 0;
}

void
storage_await_disk(const struct roots *roots, const char *node)
{
	const uint64_t until = deadline_in(AWAIT_MS);
	struct error ignored = ERROR_INIT;
	auto_close int events = -1;

	for (;;) {
		auto_close int path = roots_open_path(roots, node);
		auto_close int fd = path < 0 ? -1 : path_reopen(path, O_RDONLY | O_NONBLOCK);
		struct pollfd p = { .fd = events, .events = POLLIN };
		char byte;

		if (fd >= 0 || errno != ENXIO)
			return;
		if (events < 0) {
			/* It may have been announced before the socket was open. */
			events = uevent_open(&ignored);
			if (events < 0)
				return;
			continue;
		}
		if (poll(&p, 1, deadline_left_ms(until)) <= 0)
			return;
		while (recv(events, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
			continue;
	}
}

static int
make_bind(const struct storage_mount *m, const struct storage_source *source,
	  const struct mountopts *o, bool *file, struct error *err)
{
	struct stat st;
	auto_close int fd = roots_open_path(m->roots, source->name);

	if (fd < 0)
		return error_sys(err, "failed to open %s", source->name);
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat %s", source->name);
	*file = !S_ISDIR(st.st_mode);
	return storage_tree_bind(fd, o->flags, err);
}

static int
make_tree(struct worker *w, const struct storage_mount *m, const struct storage_source *source,
	  const struct mountopts *o, bool *file, struct error *err)
{
	const struct storage_fs fs = {
		.source = source->name,
		.type = source->type,
		.data = o->data,
		.flags = o->flags,
	};

	*file = false;
	if (o->flags & MS_BIND) {
		if (*o->data)
			worker_log(w, LOG_LEVEL_WARN,
				   "storage %s: ignoring options \"%.128s\": a bind mount has the "
				   "options of its source's file system",
				   m->spec->mount_point, o->data);
		return make_bind(m, source, o, file, err);
	}
	return storage_tree_mount(w, &fs, m->roots, err);
}

/* Sets the propagation, recursively with MS_REC. */
static int
set_propagation(int tree, unsigned long propagation)
{
	struct sys_mount_attr attr = { .propagation = propagation & ~(unsigned long)MS_REC };
	unsigned int below = propagation & MS_REC ? AT_RECURSIVE : 0;

	return propagation ? sys_mount_setattr(tree, "", AT_EMPTY_PATH | below, &attr) : 0;
}

int
storage_mount_common(struct worker *w, const struct storage_mount *m,
		     const struct storage_source *source, storage_finish_fn *finish,
		     struct error *err)
{
	const struct storage_spec *spec = m->spec;
	struct storage_place place = STORAGE_PLACE_NONE;
	struct mountopts o = { 0 };
	bool file = false;
	auto_close int tree = -1;
	int r = -1;

	if (collect_options(spec, source->extra, &o, err) < 0)
		return error_wrap(err, "failed to mount %s on %s", source->name, spec->mount_point);
	tree = make_tree(w, m, source, &o, &file, err);
	if (tree < 0)
		return error_wrap(err, "failed to mount %s on %s", source->name, spec->mount_point);
	if (storage_place_make(w, m, file, &place, err) < 0 ||
	    storage_place_mount(w, &place, tree, err) < 0)
		goto out;
	if (set_propagation(tree, o.propagation) < 0)
		error_sys(err, "failed to set the propagation of %s", spec->mount_point);
	else if (spec->has_fs_group && storage_apply_fs_group(m, tree, err) < 0)
		error_wrap(err, "failed to change the group of %s to %u", spec->mount_point,
			   spec->fs_group_id);
	else if (!finish || finish(m, tree, err) == 0)
		r = storage_place_keep(w, &place, tree, err);
out:
	storage_place_release(&place);
	return r;
}

int
storage_bind_at(struct worker *w, const struct storage_mount *m, const struct storage_place *place,
		int source, unsigned long flags, struct error *err)
{
	struct mountopts o = { 0 };
	auto_close int tree = -1;

	if (collect_options(m->spec, NULL, &o, err) < 0)
		return -1;
	tree = storage_tree_bind(source, o.flags | flags, err);
	if (tree < 0 || storage_place_mount(w, place, tree, err) < 0)
		return -1;
	if (set_propagation(tree, o.propagation) < 0)
		return error_sys(err, "failed to set the propagation of %s", m->spec->mount_point);
	return steal_fd(&tree);
}

/* Modes for a shared group (agent-side fsGroup of Kubernetes): read and write, search and setgid
 * for directories. */
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
	/* After the chown, which clears setgid bits. */
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
		return errno == ENOENT ? 0 : error_sys(err, "failed to open %s", name);
	if (fstat(fd, &now) < 0 || S_ISLNK(now.st_mode))
		return 0;
	if (change_fd(fd, &now, *gid) < 0)
		return error_sys(err, "failed to change group and mode of %s", name);
	return 0;
}

int
storage_apply_fs_group(const struct storage_mount *m, int fd, struct error *err)
{
	const struct storage_spec *spec = m->spec;
	const mode_t needed = GROUP_BITS | DIRECTORY_BITS;
	gid_t gid = spec->fs_group_id;
	struct statvfs fs;
	struct stat st;
	auto_close int dir = -1;

	/* Some are without the option "ro": erofs, the source of a bind. */
	if (fstatvfs(fd, &fs) < 0)
		return error_sys(err, "failed to read the properties of the file system");
	if (fs.f_flag & ST_RDONLY)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat the mount point");
	if (spec->fs_group_policy == FS_GROUP_ON_ROOT_MISMATCH && st.st_gid == gid &&
	    (st.st_mode & needed) == needed)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return change_fd(fd, &st, gid) < 0
			       ? error_sys(err,
					   "failed to change group and mode of the mount point")
			       : 0;
	dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, "failed to open the mount point");
	return path_walk(dir, change_entry, &gid, err);
}
