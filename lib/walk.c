/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Iteration over trees and their removal (lib/path.h). Not recursive, since a hostile tree may have
 * thousands of levels. One directory fd per level stays open (init raises RLIMIT_NOFILE), so that
 * the way back does not depend on `..`, which a peer may have moved. Mounts are not crossed and
 * links not followed.
 */
#include "lib/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"

/* A directory on the current path. */
struct level {
	DIR *dir;
	/* Name of this directory in its parent; NULL at the top. */
	char *name;
};

struct stack {
	struct level *levels;
	size_t n, size;
};

/* A little over PATH_MAX / 2 nested directories, the depth that names can reach. */
#define DEPTH_MAX 4200

static int walk_remove_entry(struct stack *s, int dirfd, const char *name, struct error *err);
static int stack_push(struct stack *s, int fd, const char *name, struct error *err);
static int walk_remove_levels(struct stack *s, int topfd, struct error *err);
static void stack_release(struct stack *s);
static int walk_entry(struct stack *s, int dfd, const char *name, path_walk_fn *fn, void *data,
		      struct error *err);

static void
stack_pop(struct stack *s)
{
	struct level *l = &s->levels[--s->n];

	(void)closedir(l->dir);
	free(l->name);
}

int
path_remove_tree(int dirfd, const char *name, struct error *err)
{
	struct stack s = { 0 };
	const char *slash = strrchr(name, '/');
	auto_close int parent = -1;
	int r;

	if (slash) {
		char dir[PATH_MAX];

		if ((size_t)(slash - name) >= sizeof(dir) || !slash[1])
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to remove \"%.64s\": invalid name", name);
		memcpy(dir, name, (size_t)(slash - name));
		dir[slash - name] = '\0';
		parent = openat(dirfd, slash == name ? "/" : dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			return errno == ENOENT
				       ? 0
				       : error_sys(err, "failed to remove %s: failed to open %s",
						   name, dir);
		dirfd = parent;
		name = slash + 1;
	}
	r = walk_remove_entry(&s, dirfd, name, err);
	if (r == 1)
		r = walk_remove_levels(&s, dirfd, err);
	stack_release(&s);
	return r;
}

static int
walk_open_dir_nofollow(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_BENEATH,
	};

	return sys_openat2(dirfd, name, &how);
}

/* Removes an entry (0), or opens it as the next level (1). Returns -1 on failure. */
static int
walk_remove_entry(struct stack *s, int dirfd, const char *name, struct error *err)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_sys(err, "failed to remove %s", name);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return error_sys(err, "failed to remove directory %s", name);
	if (s->n >= DEPTH_MAX) {
		errno = ELOOP;
		return error_sys(err, "failed to remove directory %s: nested too deeply", name);
	}
	fd = walk_open_dir_nofollow(dirfd, name);
	if (fd < 0)
		return error_sys(err, "failed to open directory %s to remove it", name);
	return stack_push(s, fd, name, err) < 0 ? -1 : 1;
}

static int
stack_push(struct stack *s, int fd, const char *name, struct error *err)
{
	struct level *l;

	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 16;
		struct level *grown = realloc(s->levels, size * sizeof(*grown));

		if (!grown) {
			(void)close(fd);
			return error_nomem(err, "walking a directory tree");
		}
		s->levels = grown;
		s->size = size;
	}
	l = &s->levels[s->n];
	memset(l, 0, sizeof(*l));
	l->name = strdup(name);
	l->dir = l->name ? fdopendir(fd) : NULL;
	if (!l->dir) {
		error_sys(err, "failed to read directory %s", name);
		free(l->name);
		(void)close(fd);
		return -1;
	}
	s->n++;
	return 0;
}

static bool
walk_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties the last level, and descends into directories. */
static int
walk_remove_levels(struct stack *s, int topfd, struct error *err)
{
	while (s->n) {
		struct level *l = &s->levels[s->n - 1];
		struct dirent *e;
		int r = 0;

		errno = 0;
		while ((e = readdir(l->dir)) != NULL) {
			if (walk_is_dot(e->d_name))
				continue;
			r = walk_remove_entry(s, dirfd(l->dir), e->d_name, err);
			if (r != 0)
				break;
		}
		if (r < 0)
			return -1;
		if (r == 1)
			continue;
		{
			int parent = s->n > 1 ? dirfd(s->levels[s->n - 2].dir) : topfd;

			if (unlinkat(parent, l->name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
				if (errno != ENOTEMPTY)
					return error_sys(err, "failed to remove directory %s",
							 l->name);
				/* New entries, or entries that readdir(3) skipped: read it
				 * again. */
				rewinddir(l->dir);
				if ((e = readdir(l->dir)) == NULL)
					return error_sys(err, "failed to remove directory %s",
							 l->name);
				rewinddir(l->dir);
				continue;
			}
		}
		stack_pop(s);
	}
	return 0;
}

static void
stack_release(struct stack *s)
{
	while (s->n)
		stack_pop(s);
	free(s->levels);
}

int
path_walk(int dfd, path_walk_fn *fn, void *data, struct error *err)
{
	struct stack s = { 0 };
	struct stat st;
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return error_sys(err, "failed to open directory");
	if (fstat(fd, &st) < 0) {
		error_sys(err, "failed to stat directory");
		(void)close(fd);
		return -1;
	}
	if (fn(fd, ".", &st, data, err) < 0) {
		(void)close(fd);
		return -1;
	}
	r = stack_push(&s, fd, ".", err);
	while (r == 0 && s.n) {
		struct level *l = &s.levels[s.n - 1];
		struct dirent *e = readdir(l->dir);

		if (!e)
			stack_pop(&s);
		else if (!walk_is_dot(e->d_name))
			r = walk_entry(&s, dirfd(l->dir), e->d_name, fn, data, err);
	}
	stack_release(&s);
	return r;
}

static int
walk_entry(struct stack *s, int dfd, const char *name, path_walk_fn *fn, void *data,
	   struct error *err)
{
	struct stat st;
	int fd;

	if (fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "failed to stat %s", name);
	if (fn(dfd, name, &st, data, err) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode) || s->n >= DEPTH_MAX)
		return 0;
	fd = walk_open_dir_nofollow(dfd, name);
	if (fd < 0)
		return errno == EXDEV || errno == ENOENT || errno == ELOOP || errno == ENOTDIR
			       ? 0
			       : error_sys(err, "failed to open directory %s", name);
	return stack_push(s, fd, name, err);
}
