/* SPDX-License-Identifier: Apache-2.0 */
/* Path calls with untrusted names: resolved by openat2(2), confined to a root fd, used through
 * fds. */
#include "lib/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"

/* State of a path whose links are resolved one by one. */
struct trusted_walk {
	int root, mount;
	/* The directory reached so far; owned. */
	int at;
	unsigned int links;
	char rest[2 * PATH_MAX];
};

static int walk_to_root(struct trusted_walk *w);
static bool path_next_component(const char **path, char name[NAME_MAX + 1]);
static int walk_one(struct trusted_walk *w, const char *name);
static int walk_link(struct trusted_walk *w, int link);
static int path_make_one(int rootfd, int parent, const char *walked, const char *name, mode_t mode,
			 uid_t uid, gid_t gid);

static int
walk_to(struct trusted_walk *w, int fd)
{
	close_fd(&w->at);
	w->at = fd;
	return fd < 0 ? -1 : 0;
}

int
path_try_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = (flags & O_CREAT) ? (mode & 07777) : 0,
		.resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT,
	};
	int fd;

	if (!(flags & O_PATH))
		how.flags |= O_NOCTTY;
	if (follow == PATH_FOLLOW_NONE)
		how.resolve |= RESOLVE_NO_SYMLINKS;
	else if (follow == PATH_FOLLOW_PARENT)
		how.flags |= O_NOFOLLOW;
	/* EAGAIN: the tree was changed by a rename during resolution; openat2(2) advises to
	 * retry. */
	for (int i = 0; i < 128; i++) {
		fd = sys_openat2(rootfd, *path ? path : ".", &how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int
path_open(int rootfd, const char *path, int flags, mode_t mode, enum path_follow follow,
	  struct error *err)
{
	int fd = path_try_open(rootfd, path, flags, mode, follow);

	if (fd < 0)
		return error_sys(err, "failed to open %s", path);
	return fd;
}

int
path_open_trusted(int rootfd, const char *path)
{
	int fd = path_try_open(rootfd, path, O_PATH, 0, PATH_FOLLOW_NONE);
	struct trusted_walk w = { .root = rootfd, .at = -1 };
	char name[NAME_MAX + 1];
	int r;

	/* Most paths contain no link. */
	if (fd >= 0 || errno != ELOOP)
		return fd;
	w.mount = sys_mount_id(rootfd, "", AT_EMPTY_PATH);
	if (w.mount < 0 || strlen(path) >= PATH_MAX)
		return -1;
	memcpy(w.rest, path, strlen(path) + 1);
	r = walk_to_root(&w);
	while (r == 0) {
		const char *rest = w.rest;
		bool more = path_next_component(&rest, name);

		if (!more) {
			r = errno ? -1 : 1;
			break;
		}
		memmove(w.rest, rest, strlen(rest) + 1);
		r = walk_one(&w, name);
	}
	if (r < 0)
		close_fd(&w.at);
	return w.at;
}

static int
walk_to_root(struct trusted_walk *w)
{
	return walk_to(w, openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Copies the next component of *path to name and advances *path. Returns false at the end, or if it
 * is too long (errno). */
static bool
path_next_component(const char **path, char name[NAME_MAX + 1])
{
	const char *p = *path;
	size_t n;

	while (*p == '/')
		p++;
	n = strcspn(p, "/");
	*path = p + n;
	errno = 0;
	if (!n)
		return false;
	if (n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(name, p, n);
	name[n] = '\0';
	return true;
}

static int
walk_up(struct trusted_walk *w)
{
	struct stat root, at;

	if (fstat(w->root, &root) < 0 || fstat(w->at, &at) < 0)
		return -1;
	if (root.st_dev == at.st_dev && root.st_ino == at.st_ino)
		return 0;
	return walk_to(w, openat(w->at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Resolves one component. */
static int
walk_one(struct trusted_walk *w, const char *name)
{
	struct stat st;
	int fd, r;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return walk_up(w);
	fd = path_try_open(w->at, name, O_PATH, 0, PATH_FOLLOW_PARENT);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close_fd(&fd);
		return -1;
	}
	if (!S_ISLNK(st.st_mode))
		return walk_to(w, fd);
	r = walk_link(w, fd);
	close_fd(&fd);
	return r;
}

/* Prepends the target of the link to the rest of the path. */
static int
walk_link(struct trusted_walk *w, int link)
{
	char text[2 * PATH_MAX];
	ssize_t n = readlinkat(link, "", text, PATH_MAX);

	if (n < 0)
		return -1;
	if (sys_mount_id(link, "", AT_EMPTY_PATH) != w->mount || ++w->links > 40) {
		errno = ELOOP;
		return -1;
	}
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(text)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	text[n] = '/';
	memcpy(text + n + 1, w->rest, strlen(w->rest) + 1);
	memcpy(w->rest, text, sizeof(text));
	return text[0] == '/' ? walk_to_root(w) : 0;
}

int
path_mkdir_all(int rootfd, const char *path, mode_t mode, uid_t uid, gid_t gid, struct error *err)
{
	char name[NAME_MAX + 1], walked[PATH_MAX] = "";
	const char *rest = path;
	size_t len = 0;
	auto_close int fd = -1;

	/* It usually exists. */
	fd = path_try_open(rootfd, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (fd >= 0)
		return steal_fd(&fd);
	fd = path_open(rootfd, ".", O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL, err);
	if (fd < 0)
		return -1;
	while (path_next_component(&rest, name)) {
		int next;
		int n = snprintf(walked + len, sizeof(walked) - len, "/%s", name);

		if (n < 0 || (size_t)n >= sizeof(walked) - len)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to create directory %.64s…: path is too long",
					 path);
		len += (size_t)n;
		/* The prefix is resolved again below the root, so that links and .. stay
		 * confined. */
		next = path_make_one(rootfd, fd, walked, name, mode, uid, gid);
		if (next < 0)
			return error_sys(err, "failed to create directory %s (at %s)", path,
					 walked);
		close_fd(&fd);
		fd = next;
	}
	if (errno)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to create directory %.64s…", path);
	return steal_fd(&fd);
}

/* Creates the directory `walked`, a prefix of the path, below its opened parent. */
static int
path_make_one(int rootfd, int parent, const char *walked, const char *name, mode_t mode, uid_t uid,
	      gid_t gid)
{
	int fd = path_try_open(rootfd, walked, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
		return -1;
	fd = path_try_open(parent, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_PARENT);
	if (fd < 0)
		return -1;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0) {
		close_fd(&fd);
		return -1;
	}
	return fd;
}

int
path_open_parent(int rootfd, const char *path, bool create, mode_t mode, char *name,
		 struct error *err)
{
	char parent[PATH_MAX];
	size_t len = strlen(path), end = len, start;
	int fd;

	while (end && path[end - 1] == '/')
		end--;
	start = end;
	while (start && path[start - 1] != '/')
		start--;
	if (start == end || end - start > NAME_MAX || len >= sizeof(parent))
		return error_set(err, ERROR_INVALID_ARGUMENT, "path \"%.64s\" %s", path,
				 start == end ? "names no entry" : "is too long");
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "path \"%.64s\" ends in %s", path,
				 name);
	memcpy(parent, path, start);
	parent[start] = '\0';
	if (create)
		return path_mkdir_all(rootfd, parent, mode, (uid_t)-1, (gid_t)-1, err);
	fd = path_try_open(rootfd, parent, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (fd < 0)
		return error_sys(err, "failed to open the directory of %s", path);
	return fd;
}

int
path_make_target(int rootfd, const char *path, bool directory, mode_t mode, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_close int parent = -1;
	auto_close int made = -1;
	struct stat st;
	int fd;

	if (directory)
		return path_mkdir_all(rootfd, path, mode, (uid_t)-1, (gid_t)-1, err);
	fd = path_try_open(rootfd, path, O_PATH, 0, PATH_FOLLOW_ALL);
	if (fd >= 0 || errno != ENOENT) {
		if (fd < 0)
			error_sys(err, "failed to open %s", path);
		return fd;
	}
	parent = path_open_parent(rootfd, path, true, 0755, name, err);
	if (parent < 0)
		return -1;
	/* O_EXCL: a dangling link, or a file created in a race, is rejected, never followed or
	 * truncated. */
	made = path_try_open(parent, name, O_CREAT | O_EXCL | O_WRONLY, mode, PATH_FOLLOW_PARENT);
	if (made < 0 && errno != EEXIST)
		return error_sys(err, "failed to create file %s", path);
	fd = path_open(parent, name, O_PATH, 0, PATH_FOLLOW_PARENT, err);
	if (fd >= 0 && (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))) {
		close_fd(&fd);
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to create file %s: dangling link", path);
	}
	return fd;
}

const char *
path_of_fd(int fd, char buf[static 64])
{
	(void)snprintf(buf, 64, "/proc/self/fd/%d", fd);
	return buf;
}

int
path_reopen(int fd, int flags)
{
	char name[64];

	return open(path_of_fd(fd, name), flags | O_CLOEXEC | O_NOCTTY);
}

ssize_t
path_real(int fd, char out[static PATH_MAX])
{
	char name[64];
	ssize_t n = readlink(path_of_fd(fd, name), out, PATH_MAX - 1);

	if (n >= 0)
		out[n] = '\0';
	return n;
}

bool
fd_is_fstype(int fd, long fs_type)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && (long)st.f_type == fs_type;
}
