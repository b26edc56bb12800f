/* SPDX-License-Identifier: Apache-2.0 */
/* Copying of a directory of a container's root into a tmpfs. The source is the image's and not
 * trusted: names, depth and types are arbitrary and may change during the copy. */
#include "agent/container/rootfs/copyup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define DEPTH_MAX 128
/* The kernel's limit on the list of a file's extended attributes (xattr(7)), in bytes. */
#define NAMES_MAX 65536
#define COPY_STEP (1u << 20)

/* State of a copy. The buffers hold the extended attributes of one file at a time. */
struct copy {
	/* The attributes of the topmost directory are copied as well. */
	bool top;
	char names[NAMES_MAX];
	char value[NAMES_MAX];
};

static int copyup_directory(struct copy *c, int from, int to, unsigned int depth,
			    struct error *err);
static int copyup_entry(struct copy *c, int from, int to, const char *name, unsigned int depth,
			struct error *err);
static int copyup_subdirectory(struct copy *c, int from_dir, int to_dir, const char *name,
			       unsigned int depth, struct error *err);
static int copyup_file(struct copy *c, int from_dir, int to_dir, const char *name,
		       struct error *err);
static int copyup_attributes(struct copy *c, int from, int to, const struct stat *st,
			     struct error *err);

/* Sets the owner of a new file. An owner without an id in the user namespace cannot be set, and
 * is ignored. */
static int
copyup_owner(int dir, const char *name, const struct stat *st, struct error *err)
{
	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 &&
	    errno != EINVAL)
		return error_sys(err, "failed to set the owner of %.64s", name);
	return 0;
}

int
copyup_tree(int from_fd, int to_fd, bool top, struct error *err)
{
	auto_close int from = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free struct copy *c = malloc(sizeof(*c));

	if (from < 0 || to < 0)
		return error_sys(err, "failed to open a directory");
	if (!c)
		return error_nomem(err, "copying into a tmpfs");
	c->top = top;
	return copyup_directory(c, from, to, 0, err);
}

/* Copies a directory's entries. `from` and `to` still belong to the caller. */
static int
copyup_directory(struct copy *c, int from, int to, unsigned int depth, struct error *err)
{
	int copy = fcntl(from, F_DUPFD_CLOEXEC, 3), result = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	if (!dir) {
		error_sys(err, "failed to read a directory");
		close_fd(&copy);
		return -1;
	}
	if (depth > DEPTH_MAX)
		result = error_set(err, ERROR_INVALID_ARGUMENT, "more than %d directories deep",
				   DEPTH_MAX);
	while (result == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = copyup_entry(c, from, to, entry->d_name, depth, err);
	}
	closedir(dir);
	if (result < 0)
		return -1;
	if (fstat(from, &st) < 0)
		return error_sys(err, "failed to stat a directory");
	return depth > 0 || c->top ? copyup_attributes(c, from, to, &st, err) : 0;
}

static int
copyup_link(int from_dir, int to_dir, const char *name, const struct stat *st, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return error_sys(err, "failed to read link %.64s", name);
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0)
		return error_sys(err, "failed to create link %.64s", name);
	return copyup_owner(to_dir, name, st, err);
}

static int
copyup_entry(struct copy *c, int from, int to, const char *name, unsigned int depth,
	     struct error *err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to stat %.64s", name);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return copyup_subdirectory(c, from, to, name, depth, err);
	case S_IFREG:
		return copyup_file(c, from, to, name, err);
	case S_IFLNK:
		return copyup_link(from, to, name, &st, err);
	default:
		/* The umask is 0, and chown does not change the mode of a special file. */
		if (mknodat(to, name, st.st_mode, st.st_rdev) < 0)
			return error_sys(err, "failed to create special file %.64s", name);
		return copyup_owner(to, name, &st, err);
	}
}

static int
copyup_subdirectory(struct copy *c, int from_dir, int to_dir, const char *name, unsigned int depth,
		    struct error *err)
{
	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int to = -1;

	if (from < 0)
		return error_sys(err, "failed to open %.64s", name);
	if (mkdirat(to_dir, name, 0700) == 0)
		to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return error_sys(err, "failed to create %.64s", name);
	return copyup_directory(c, from, to, depth + 1, err);
}

static int
copyup_file(struct copy *c, int from_dir, int to_dir, const char *name, struct error *err)
{
	/* O_NONBLOCK, because the file may have been replaced with a FIFO. */
	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	auto_close int to = -1;
	struct stat st;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0)
		return error_sys(err, "failed to open %.64s", name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%.64s changed during the copy",
				 name);
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return error_sys(err, "failed to create %.64s", name);
	while ((n = RETRY_EINTR(sendfile(to, from, NULL, COPY_STEP))) > 0)
		;
	if (n < 0)
		return error_sys(err, "failed to copy %.64s", name);
	return copyup_attributes(c, from, to, &st, err);
}

/* Copies extended attributes. Those that the file system or process does not support are
 * skipped, as by cp(1). */
static void
copyup_xattrs(struct copy *c, int from, int to)
{
	ssize_t n = flistxattr(from, c->names, sizeof(c->names));

	for (const char *name = c->names; n > 0 && name < c->names + n; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, c->value, sizeof(c->value));

		if (size >= 0)
			(void)fsetxattr(to, name, c->value, (size_t)size, 0);
	}
}

static int
copyup_attributes(struct copy *c, int from, int to, const struct stat *st, struct error *err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (copyup_owner(to, "", st, err) < 0)
		return -1;
	if (fchmod(to, st->st_mode & 07777) < 0)
		return error_sys(err, "failed to set a mode");
	copyup_xattrs(c, from, to);
	(void)futimens(to, times);
	return 0;
}
