/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchable-bind: a volume of a share, such as a ConfigMap, that the host changes while containers
 * use it, and that programs watch with inotify.
 *
 * On a file system of the guest inotify works, and the volume is a bind mount. A share reports no
 * changes of its host. There the volume is copied to a tmpfs (mirror.c), and a worker keeps the
 * copy like its source (follow.c). A volume that does not fit into the tmpfs together with an
 * update of it, or takes too long to copy, is a bind mount, too: containers see its changes, but
 * get no events.
 *
 * The mount point is in a directory of the share that belongs to the host and may be read-only. The
 * tmpfs is mounted there first, as a storage of its own; all volumes in it hold a reference to it.
 * A copy is in the directory on which it is mounted:
 *
 * 	place.fd            the mount point, under the mount
 * 	place.fd/data       the copy, bound over the mount point, read-only
 * 	place.fd/new        entries in the making, which containers cannot see
 */
#include "agent/storage/watchable.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/job/worker.h"
#include "agent/storage/mirror.h"
#include "agent/storage/mount_point.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "lib/log_event.h"
#include "lib/mountinfo.h"
#include "lib/sys.h"

#define PLACE "/run/kata-containers/shared/containers/"

/* Attempts to copy a volume that is being changed, and the time between two of them. */
#define COPY_TRIES   20
#define COPY_WAIT_NS 20000000L

/* Copying for the first time is part of a call, which has a time limit: 60 s in Kata. */
#define COPY_MS 20000

/* The copies of all volumes take at most this part of memory, about what is kept from the pods for
 * the agent's workers (headroom in init/limits.c). An inode takes about 1 KiB in addition. */
static const char *const directory_options[] = { "nosuid", "nodev", "mode=0755", "size=6%",
						 "nr_inodes=32k" };

/* The directories of such mount points: in the Go runtime, and in the Rust runtime. */
static const struct storage_spec directories[] = {
	{
		.driver = "watchable-bind directory",
		.source = "tmpfs",
		.fstype = "tmpfs",
		.mount_point = PLACE "watchable",
		.options = directory_options,
		.n_options = ARRAY_LEN(directory_options),
	},
	{
		.driver = "watchable-bind directory",
		.source = "tmpfs",
		.fstype = "tmpfs",
		.mount_point = PLACE "passthrough/watchable",
		.options = directory_options,
		.n_options = ARRAY_LEN(directory_options),
	},
};

const struct storage_spec *
storage_watchable_directory(const struct storage_spec *spec)
{
	const char *slash = strrchr(spec->mount_point, '/');

	if (strcmp(spec->driver, storage_watchable.name) != 0 || !slash || !slash[1])
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		size_t len = strlen(directories[i].mount_point);

		if (len == (size_t)(slash - spec->mount_point) &&
		    strncmp(spec->mount_point, directories[i].mount_point, len) == 0)
			return &directories[i];
	}
	return NULL;
}

static int
watchable_check(const struct storage_spec *spec, struct error *err)
{
	if (!storage_watchable_directory(spec))
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"storage %s: invalid mount point: watchable-bind requires a directory in "
			"%s or %s",
			spec->mount_point, directories[0].mount_point, directories[1].mount_point);
	return storage_bind.check(spec, err);
}

/* ---- mounting ---- */

/* Returns 1 if inotify reports every change of the file system that fd is on, 0 if not, or -1. Its
 * type is that of the mount: statfs(2) on 9p tells the type of the host's file system. */
static int
watchable_has_inotify(const struct roots *roots, int fd, struct error *err)
{
	static const char *const local[] = { "tmpfs", "ramfs", "rootfs", "ext2",  "ext3",    "ext4",
					     "xfs",   "btrfs", "f2fs",   "erofs", "squashfs" };
	auto_free char *text = mountinfo_read(roots->proc, "self/mountinfo", err);
	int id = sys_mount_id(fd, "", AT_EMPTY_PATH);
	char *rest = text, *line;
	struct mountinfo m;

	if (!text)
		return -1;
	if (id < 0)
		return error_sys(err, "failed to read the id of a mount");
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (!mountinfo_parse(line, &m) || m.id != id)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(local); i++)
			if (strcmp(m.type, local[i]) == 0)
				return 1;
		return 0;
	}
	return 0;
}

int
watchable_open_source(const struct roots *roots, const char *path, struct error *err)
{
	struct sys_mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						   MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	auto_close int fd = roots_open_path(roots, path);
	auto_close int tree = -1;

	if (fd < 0)
		return error_sys(err, "failed to open %s", path);
	tree = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return error_sys(err, "failed to clone the mount of %s", path);
	return steal_fd(&tree);
}

/* Copies the volume, and checks that an update fits, too. */
static int
watchable_copy(struct mirror *m, struct error *err)
{
	const struct timespec pause = { .tv_nsec = COPY_WAIT_NS };

	m->deadline = deadline_in(COPY_MS);
	for (int i = 0; mirror_sync(m, err) < 0; i++) {
		if (err->code != ERROR_ABORTED || i == COPY_TRIES)
			return -1;
		*err = ERROR_INIT;
		(void)nanosleep(&pause, NULL);
	}
	return mirror_check_room(m, err);
}

/* Reports that the volume is bound because it does not fit. */
static void
watchable_report(struct worker *w, const struct storage_spec *spec, const struct error *why)
{
	const struct log_field fields[] = { { "source", spec->source } };

	worker_event(w, LOG_LEVEL_WARN, EVENT_VOLUME_NOT_COPIED, fields, ARRAY_LEN(fields),
		     "containers get no inotify events of volume %s: %s", spec->source, why->msg);
}

int
watchable_mount_copy(struct worker *w, const struct storage_mount *m, struct error *err)
{
	struct storage_place place = STORAGE_PLACE_NONE;
	struct mirror mirror = MIRROR_NONE;
	struct undo undo = { .kind = &undo_copy, .name = m->spec->mount_point };
	auto_close int source = watchable_open_source(m->roots, m->spec->source, err);
	auto_close int tree = -1;
	struct stat st;
	int r = -1;

	if (source < 0)
		return -1;
	if (fstat(source, &st) < 0)
		return error_sys(err, "failed to stat %s", m->spec->source);
	if (storage_place_make(w, m, false, &place, err) < 0)
		goto out;
	undo.fd = place.fd;
	if (worker_step(w, &undo, err) < 0 ||
	    mirror_open(&mirror, steal_fd(&source), place.fd, true, err) < 0)
		goto out;
	if (watchable_copy(&mirror, err) == 0) {
		const uint64_t dev = st.st_dev;

		tree = storage_bind_at(w, m, &place, mirror.data, MS_RDONLY, err);
		if (tree < 0 ||
		    worker_send(w, STORAGE_MSG_COPIED, &dev, sizeof(dev), NULL, 0, false, err) < 0)
			goto out;
	} else {
		struct error why = *err;

		*err = ERROR_INIT;
		mirror_close(&mirror);
		if (why.code != ERROR_RESOURCE_EXHAUSTED && why.code != ERROR_DEADLINE_EXCEEDED) {
			*err = why;
			goto out;
		}
		if (mirror_remove(place.fd, err) < 0)
			goto out;
		watchable_report(w, m->spec, &why);
		source = roots_open_path(m->roots, m->spec->source);
		if (source < 0) {
			error_sys(err, "failed to open %s", m->spec->source);
			goto out;
		}
		tree = storage_bind_at(w, m, &place, source, 0, err);
		if (tree < 0)
			goto out;
	}
	r = storage_place_keep(w, &place, tree, err);
out:
	mirror_close(&mirror);
	storage_place_release(&place);
	return r;
}

static int
watchable_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	auto_close int source = roots_open_path(m->roots, m->spec->source);
	struct stat st;
	int has_inotify;

	if (source < 0)
		return error_sys(err, "failed to open %s", m->spec->source);
	if (fstat(source, &st) < 0)
		return error_sys(err, "failed to stat %s", m->spec->source);
	/* A container holds a file that is a volume by itself: it cannot be replaced. */
	has_inotify = S_ISDIR(st.st_mode) ? watchable_has_inotify(m->roots, source, err) : 1;
	if (has_inotify < 0)
		return -1;
	return has_inotify ? storage_bind.mount(w, m, err) : watchable_mount_copy(w, m, err);
}

static int
watchable_undo_copy(const struct step *step, struct error *err)
{
	return mirror_remove(step->fd, err);
}

const struct undo_kind undo_copy = { .name = "remove copy", .undo = watchable_undo_copy };

const struct storage_driver storage_watchable = {
	.name = "watchable-bind",
	.check = watchable_check,
	.mount = watchable_mount,
};

/* Accepts the result of storage_watchable_directory() only: a peer cannot request this driver. */
static int
directory_check(const struct storage_spec *spec, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (spec == &directories[i])
			return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT, TEXT_NO_STORAGE_HANDLER " %.64s",
			 spec->driver);
}

static int
directory_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_source source = { .name = m->spec->source, .type = m->spec->fstype };

	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_watchable_tmpfs = {
	.name = "watchable-bind directory",
	.check = directory_check,
	.mount = directory_mount,
};
