/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates mount points. A container may rename directories on the path to a mount point inside one
 * of its volumes, so each path is resolved once. After that only file descriptors are used: here,
 * in the undo, and by the unmount. Worker only: may block.
 */
#include "agent/storage/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Number of attempts when a directory on the path is removed concurrently. */
#define MAKE_TRIES 8

/* A walk from the deepest existing directory to the mount point. */
struct walk {
	struct worker *w;
	/* Components that do not exist yet. */
	const char *rest;
	bool file;
	struct storage_place *place;
	struct storage_point *point;
};

void
storage_place_release(struct storage_place *place)
{
	close_fd(&place->fd);
	close_fd(&place->parent);
}

/* Records a created directory, or NULL if another mount created it first. Directories are created
 * from the outside in, but the list starts with the mount point. */
static void
mount_point_note(struct storage_point *point, const struct stat *made)
{
	memmove(&point->files[1], &point->files[0], point->made * sizeof(point->files[0]));
	point->files[0] = (struct storage_file){ 0 };
	if (made)
		point->files[0] = (struct storage_file){ made->st_dev, made->st_ino };
	point->made++;
}

/* Creates the file on which a file is bind-mounted. */
static int
make_file(const struct walk *walk, const char *name, struct error *err)
{
	struct stat st;
	int fd = worker_create(walk->w, walk->place->parent, name, 0644, &st, err);

	if (fd < 0 && err->code != ERROR_ALREADY_EXISTS)
		return -1;
	mount_point_note(walk->point, fd < 0 ? NULL : &st);
	close_fd(&fd);
	*err = ERROR_INIT;
	walk->place->fd = path_open(walk->place->parent, name, O_PATH, 0, PATH_FOLLOW_PARENT, err);
	if (walk->place->fd < 0)
		return -1;
	if (fstat(walk->place->fd, &st) < 0 || S_ISLNK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is a dangling symbolic link",
				 name);
	return 0;
}

static int
make_directory(const struct walk *walk, const char *name, struct error *err)
{
	struct stat st;
	int made = worker_mkdir(walk->w, walk->place->parent, name, 0755, &st, err);

	if (made < 0)
		return -1;
	mount_point_note(walk->point, made ? &st : NULL);
	/* A dangling symbolic link is refused. */
	walk->place->fd = path_open(walk->place->parent, name, O_PATH | O_DIRECTORY, 0,
				    PATH_FOLLOW_PARENT, err);
	return walk->place->fd < 0 ? -1 : 0;
}

/* Creates the missing components, starting in the directory place->fd. */
static int
walk_on(struct walk *walk, struct error *err)
{
	const char *rest = walk->rest;

	while (*rest) {
		size_t n = strcspn(rest, "/");
		char name[NAME_MAX + 1];
		bool last = rest[n] == '\0';

		if (n > NAME_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT, "name %.32s... is too long",
					 rest);
		if (walk->point->made == STORAGE_MADE_MAX)
			return error_set(err, ERROR_RESOURCE_EXHAUSTED,
					 "more than %d directories are missing", STORAGE_MADE_MAX);
		memcpy(name, rest, n);
		name[n] = '\0';
		rest += n + !last;
		close_fd(&walk->place->parent);
		walk->place->parent = steal_fd(&walk->place->fd);
		if ((last && walk->file ? make_file : make_directory)(walk, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Opens the deepest existing directory on the path as *fd. Returns the rest of the path, "" if all
 * of it exists; NULL and err on failure. */
static const char *
open_existing(const struct roots *roots, const char *path, int *fd, struct error *err)
{
	size_t end = strlen(path);

	for (;;) {
		char prefix[PATH_MAX];

		memcpy(prefix, path, end);
		prefix[end] = '\0';
		*fd = roots_open_path(roots, end ? prefix : "/");
		if (*fd >= 0)
			return path[end] ? path + end + 1 : path + end;
		if (errno != ENOENT || end == 0)
			break;
		while (end > 0 && path[end - 1] != '/')
			end--;
		end -= end > 0;
	}
	error_sys(err, "failed to open the path to %s", path);
	return NULL;
}

/* Takes an existing file or directory as the mount point: checks its type and opens its parent. */
static int
take_existing(const struct roots *roots, const char *path, bool file, struct storage_place *place,
	      struct error *err)
{
	char parent[PATH_MAX];
	struct stat st;

	if (fstat(place->fd, &st) < 0)
		return error_sys(err, "failed to stat %s", path);
	if (!file && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return error_sys(err, "failed to open %s", path);
	}
	/* The parent is only needed to remove created directories. None were created here, so any
	 * directory will do. */
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	place->parent = roots_open_path(roots, *parent ? parent : "/");
	return place->parent < 0 ? error_sys(err, "failed to open the parent directory of %s", path)
				 : 0;
}

static int
send_point(struct worker *w, const struct storage_place *place, struct storage_point *point,
	   struct error *err)
{
	if (path_real(place->fd, point->path) < 0)
		return error_sys(err, "failed to resolve the path of a mount point");
	return worker_send(w, STORAGE_MSG_POINT, point,
			   offsetof(struct storage_point, path) + strlen(point->path) + 1, NULL, 0,
			   false, err);
}

/* Returns whether the directory was removed after it was opened: by another storage, which had
 * created it. */
static bool
is_removed(const struct storage_place *place)
{
	struct stat st;

	return place->parent >= 0 && fstat(place->parent, &st) == 0 && st.st_nlink == 0;
}

/* Opens the mount point and creates its missing components. Makes one attempt. */
static int
make_once(struct worker *w, const struct roots *roots, const char *path, bool file,
	  struct storage_place *place, struct storage_point *point, struct error *err)
{
	struct walk walk = {
		.w = w,
		.file = file,
		.place = place,
		.point = point,
	};

	*place = STORAGE_PLACE_NONE;
	*point = (struct storage_point){ 0 };
	walk.rest = open_existing(roots, path, &place->fd, err);
	if (!walk.rest)
		return -1;
	return *walk.rest ? walk_on(&walk, err) : take_existing(roots, path, file, place, err);
}

/* Opens the mount point and creates its missing components. */
static int
make_path(struct worker *w, const struct roots *roots, const char *path, bool file,
	  struct storage_place *place, struct storage_point *point, struct error *err)
{
	for (int i = 0; make_once(w, roots, path, file, place, point, err) < 0; i++) {
		if (i == MAKE_TRIES || !is_removed(place))
			return -1;
		storage_place_release(place);
		*err = ERROR_INIT;
	}
	return 0;
}

int
storage_place_make(struct worker *w, const struct storage_mount *m, bool file,
		   struct storage_place *place, struct error *err)
{
	const char *path = m->spec->mount_point;
	struct storage_point point;

	if (make_path(w, m->roots, path, file, place, &point, err) < 0)
		return error_wrap(err, "failed to create mount point %s", path);
	return send_point(w, place, &point, err);
}

int
storage_make_directory(struct worker *w, const struct roots *roots, const char *path,
		       struct storage_place *place, struct error *err)
{
	struct storage_point unused;

	if (make_path(w, roots, path, false, place, &unused, err) < 0)
		return error_wrap(err, "failed to make directory %s", path);
	return 0;
}

int
storage_place_mount(struct worker *w, const struct storage_place *place, int tree,
		    struct error *err)
{
	char path[PATH_MAX] = "a storage";

	(void)path_real(place->fd, path);
	return worker_mount(w, tree, place->fd, path, NULL, err);
}

int
storage_place_keep(struct worker *w, const struct storage_place *place, int tree, struct error *err)
{
	int fds[] = { place->fd, place->parent };
	int32_t id = tree < 0 ? 0 : sys_mount_id(tree, "", AT_EMPTY_PATH);

	if (id < 0)
		return error_sys(err, "failed to read the id of a mount");
	return worker_send(w, STORAGE_MSG_MOUNTED, &id, sizeof(id), fds, ARRAY_LEN(fds), true, err);
}
