/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The execution of one order. Parent directories are opened without following symlinks; all other
 * operations use the parent's descriptor and names without a slash. Worker side: may block for as
 * long as the share does.
 *
 *	open or make the parents -> write the temporary entry
 *	-> put it in place (rename or exchange) -> remove the old entry
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files/files_internal.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"

#define SHARED   "shared/containers/"
#define BASE_LEN (sizeof(SHARED) - 1)
/* mode of the shared directory itself */
#define BASE_MODE 0755

/* The order being executed. */
struct site {
	int run, proc;
	const struct copy_order *order;
	/* the target's parent directory, O_PATH */
	int parent;
	/* last component, points into order->path */
	const char *name;
	/* the entry order->temp exists and is ours */
	bool has_temp;
	struct copy_result *result;
};

static int apply_order(struct site *s, const uint8_t *data, struct error *err);
static int apply_open_parent(struct site *s, struct error *err);
static void apply_remove_parents(struct site *s);
static int apply_make_dir(struct site *s, struct error *err);
static int apply_make_link(struct site *s, const uint8_t *data, struct error *err);
static int apply_write_part(struct site *s, const uint8_t *data, struct error *err);
static int apply_set_owner_and_mode(int fd, const struct copy_order *o, struct error *err);
static int apply_put_in_place(struct site *s, bool is_dir, struct error *err);
static int apply_remove_temp(const struct site *s);

static bool
apply_is_full(void)
{
	return errno == ENOSPC || errno == EDQUOT;
}

/* Sets err from errno: RESOURCE_EXHAUSTED if the disk is full. */
static int
apply_error_file(struct error *err, const char *what)
{
	if (apply_is_full())
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "%s", what);
	return error_sys(err, "%s", what);
}

static int
apply_error_parent(struct error *err, const char *dir)
{
	if (errno == ELOOP)
		return error_set(err, ERROR_PERMISSION_DENIED,
				 "directory %s has a symlink in its path", dir);
	return error_sys_code(err, apply_is_full() ? ERROR_RESOURCE_EXHAUSTED : ERROR_INTERNAL,
			      "failed to open directory %s", dir);
}

void
copy_apply(int run, int proc, const struct copy_order *order, const uint8_t *data,
	   struct copy_result *result)
{
	struct site s = {
		.run = run,
		.proc = proc,
		.order = order,
		.parent = -1,
		.result = result,
	};
	struct stat st;

	*result = (struct copy_result){
		.dev = order->dev,
		.ino = order->ino,
		.made = order->made,
		.is_clean = true,
	};
	for (int i = 0; apply_order(&s, data, &result->err) < 0; i++) {
		/* The parent may have been removed after it was opened: by another order that had
		 * made it, and failed. */
		if (i < 8 && s.parent >= 0 && fstat(s.parent, &st) == 0 && st.st_nlink == 0) {
			close_fd(&s.parent);
			s.has_temp = false;
			result->err = ERROR_INIT;
			continue;
		}
		if (s.has_temp && s.parent >= 0)
			(void)apply_remove_temp(&s);
		apply_remove_parents(&s);
		error_wrap(&result->err, "failed to copy to " COPY_DIR "%s", order->path);
		break;
	}
	close_fd(&s.parent);
}

static int
apply_order(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;

	if (apply_open_parent(s, err) < 0)
		return -1;
	/* a new copy discards what an earlier one to the same path has begun */
	if (o->act != COPY_WRITE || o->first)
		if (apply_remove_temp(s) < 0)
			return error_sys(err, "failed to remove the temporary file %s", o->temp);
	switch (o->act) {
	case COPY_MAKE_DIR:
		return apply_make_dir(s, err);
	case COPY_MAKE_LINK:
		return apply_make_link(s, data, err);
	case COPY_WRITE:
		return apply_write_part(s, data, err);
	case COPY_DROP:
		apply_remove_parents(s);
		return 0;
	}
	return error_set(err, ERROR_INTERNAL, "unknown order %d", (int)o->act);
}

/* ---- the parents of the target ---- */

/* Opens the next directory on the path, after making it if it is missing. */
static int
apply_step_into(struct site *s, int from, const char *name, bool is_base)
{
	const struct copy_order *o = s->order;
	mode_t mode = is_base ? BASE_MODE : o->dir_mode;
	int fd = path_try_open(from, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	bool made;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	made = mkdirat(from, name, mode) == 0;
	if (!made && errno != EEXIST)
		return -1;
	s->result->made += made && !is_base;
	fd = path_try_open(from, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (fd < 0 || !made || is_base || (o->uid == UINT32_MAX && o->gid == UINT32_MAX))
		return fd;
	if (fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH) < 0)
		close_fd(&fd);
	return fd;
}

static int
apply_make_parents(struct site *s, char *way, struct error *err)
{
	auto_close int at = fcntl(s->run, F_DUPFD_CLOEXEC, 3);
	char *rest = way, *name;

	while (at >= 0 && (name = strsep(&rest, "/")) != NULL) {
		bool is_base = (size_t)(name - way) < BASE_LEN;
		int next = apply_step_into(s, at, name, is_base);

		if (next < 0)
			return apply_error_parent(err, is_base ? SHARED : s->order->path);
		close_fd(&at);
		at = next;
	}
	return at < 0 ? error_sys(err, "failed to open the run directory") : steal_fd(&at);
}

/* Opens the target's parent, making it if the order allows that, and sets s->name. */
static int
apply_open_parent(struct site *s, struct error *err)
{
	const struct copy_order *o = s->order;
	const char *slash = strrchr(o->path, '/');
	int n = slash ? (int)(slash - o->path) : 0;
	char way[PATH_MAX + BASE_LEN];

	s->name = slash ? slash + 1 : o->path;

	(void)snprintf(way, sizeof(way), SHARED "%.*s", n, o->path);
	if (n == 0)
		way[BASE_LEN - 1] = '\0';
	s->parent = path_try_open(s->run, way, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (s->parent >= 0)
		return 0;
	if (errno != ENOENT || o->act == COPY_DROP || (o->act == COPY_WRITE && !o->first))
		return apply_error_parent(err, way);
	s->parent = apply_make_parents(s, way, err);
	return s->parent < 0 ? -1 : 0;
}

/* Removes the parents that were made for this copy, innermost first, as long as they are empty. If
 * making them failed, the innermost ones may be missing. */
static void
apply_remove_parents(struct site *s)
{
	char way[PATH_MAX + BASE_LEN];
	char *slash;

	(void)snprintf(way, sizeof(way), SHARED "%s", s->order->path);
	while (s->result->made > 0) {
		auto_close int above = -1;

		*strrchr(way, '/') = '\0';
		slash = strrchr(way, '/');
		if ((size_t)(slash - way) < BASE_LEN - 1)
			break;
		*slash = '\0';
		above = path_try_open(s->run, way, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
		*slash = '/';
		if (above >= 0 && unlinkat(above, slash + 1, AT_REMOVEDIR) == 0)
			s->result->made--;
		else if (errno != ENOENT)
			break;
	}
	s->result->made = 0;
}

/* ---- the new entry ---- */

/* Replaces an entry of another type by a directory. */
static int
apply_replace_by_dir(struct site *s, struct error *err)
{
	auto_close int fd = -1;

	if (mkdirat(s->parent, s->order->temp, 0700) < 0)
		return apply_error_file(err, "failed to create it");
	s->has_temp = true;
	fd = path_try_open(s->parent, s->order->temp, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (fd < 0)
		return error_sys(err, "failed to open it");
	return apply_set_owner_and_mode(fd, s->order, err) < 0 ? -1
							       : apply_put_in_place(s, true, err);
}

/* Makes a directory, or sets owner and mode of an existing one, whose entries stay. Another worker
 * may make it at the same time as the parent of its own target. */
static int
apply_make_dir(struct site *s, struct error *err)
{
	bool is_made = mkdirat(s->parent, s->name, 0700) == 0;
	auto_close int fd = -1;

	if (!is_made && errno != EEXIST)
		return apply_error_file(err, "failed to create it");
	fd = path_try_open(s->parent, s->name, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? apply_replace_by_dir(s, err)
							  : error_sys(err, "failed to open it");
	if (apply_set_owner_and_mode(fd, s->order, err) == 0)
		return 0;
	if (is_made)
		(void)unlinkat(s->parent, s->name, AT_REMOVEDIR);
	return -1;
}

static int
apply_make_link(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;
	char target[PATH_MAX];

	memcpy(target, data, o->len);
	target[o->len] = '\0';
	if (symlinkat(target, s->parent, o->temp) < 0)
		return apply_error_file(err, "failed to create it");
	s->has_temp = true;
	if ((o->uid != UINT32_MAX || o->gid != UINT32_MAX) &&
	    fchownat(s->parent, o->temp, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to change its owner to %d:%d", (int)o->uid,
				 (int)o->gid);
	return apply_put_in_place(s, false, err);
}

static int
apply_begin_temp(struct site *s, struct error *err)
{
	struct stat st;
	auto_close int fd = path_try_open(s->parent, s->order->temp, O_CREAT | O_EXCL | O_WRONLY,
					  0600, PATH_FOLLOW_NONE);

	if (fd < 0)
		return apply_error_file(err, "failed to create its temporary file");
	s->has_temp = true;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat its temporary file");
	s->result->dev = st.st_dev;
	s->result->ino = st.st_ino;
	return steal_fd(&fd);
}

/* Opens the temporary file of the first part. Device and inode are compared, since a container may
 * have replaced it. */
static int
apply_open_temp(struct site *s, struct error *err)
{
	struct stat st;
	int fd;
	auto_close int path =
		path_try_open(s->parent, s->order->temp, O_PATH | O_NOFOLLOW, 0, PATH_FOLLOW_NONE);

	if (path < 0 || fstat(path, &st) < 0)
		return error_sys(err, "failed to open its temporary file");
	if (!S_ISREG(st.st_mode) || st.st_dev != s->order->dev || st.st_ino != s->order->ino)
		return error_set(err, ERROR_ABORTED, "its temporary file was replaced");
	s->has_temp = true;
	fd = path_reopen(path, O_WRONLY);
	return fd < 0 ? error_sys(err, "failed to open its temporary file") : fd;
}

static int
apply_write_at(int fd, const uint8_t *data, size_t n, uint64_t offset, struct error *err)
{
	while (n > 0) {
		ssize_t written = pwrite(fd, data, n, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return apply_error_file(err, "failed to write to it");
		data += written;
		n -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

static int
apply_write_part(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;
	auto_close int fd = o->first ? apply_begin_temp(s, err) : apply_open_temp(s, err);

	if (fd < 0 || apply_write_at(fd, data, o->len, o->offset, err) < 0)
		return -1;
	if (!o->last)
		return 0;
	return apply_set_owner_and_mode(fd, o, err) < 0 ? -1 : apply_put_in_place(s, false, err);
}

static int
apply_set_owner_and_mode(int fd, const struct copy_order *o, struct error *err)
{
	/* the owner first: changing it clears the set-id bits */
	if ((o->uid != UINT32_MAX || o->gid != UINT32_MAX) && fchown(fd, o->uid, o->gid) < 0)
		return error_sys(err, "failed to change its owner to %d:%d", (int)o->uid,
				 (int)o->gid);
	if (fchmod(fd, o->mode) < 0)
		return error_sys(err, "failed to set its mode %o", o->mode);
	return 0;
}

/* ---- its place ---- */

/* Fails if something is mounted on or below the directory that is to be replaced: it could not be
 * removed. */
static int
apply_refuse_mounts(const struct site *s, struct error *err)
{
	auto_free char *text = mountinfo_read(s->proc, "self/mountinfo", err);
	char dir[PATH_MAX];
	char *rest = text, *line;
	struct mountinfo m;
	ssize_t n = path_real(s->parent, dir);

	if (!text)
		return -1;
	if (n < 0)
		return error_sys(err, "failed to resolve the path of the parent directory");
	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t len = strlen(s->name);
		const char *below;

		if (!mountinfo_parse(line, &m) || strncmp(m.point, dir, (size_t)n) != 0 ||
		    m.point[n] != '/' || strncmp(m.point + n + 1, s->name, len) != 0)
			continue;
		below = m.point + n + 1 + len;
		if (*below == '\0' || *below == '/')
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "failed to replace the directory: %s is a mount point",
					 m.point);
	}
	return 0;
}

/* Replaces the old entry without SYS_RENAME_EXCHANGE, on file systems that do not support it. Not
 * atomic. */
static int
apply_replace_by_steps(struct site *s, struct error *err)
{
	if (path_remove_tree(s->parent, s->name, err) < 0)
		return -1;
	if (renameat(s->parent, s->order->temp, s->parent, s->name) < 0)
		return apply_error_file(err, "failed to rename the temporary file");
	s->has_temp = false;
	return 0;
}

/* Exchanges the new entry with the old one, which is of another type, and removes the old one. */
static int
apply_exchange(struct site *s, struct error *err)
{
	if (apply_refuse_mounts(s, err) < 0)
		return -1;
	if (sys_renameat2(s->parent, s->order->temp, s->parent, s->name, SYS_RENAME_EXCHANGE) < 0) {
		if (errno == EINVAL || errno == ENOSYS)
			return apply_replace_by_steps(s, err);
		return apply_error_file(err, "failed to exchange it with the former file");
	}
	s->has_temp = false;
	if (path_remove_tree(s->parent, s->order->temp, err) < 0)
		return error_wrap(err, "the copy is complete, but the former file is left as %s",
				  s->order->temp);
	return 0;
}

/* Renames the temporary entry to the target's name. */
static int
apply_put_in_place(struct site *s, bool is_dir, struct error *err)
{
	struct stat st;

	/* repeated if a container changes the type of the old entry meanwhile */
	for (int i = 0; i < 8; i++) {
		bool is_there = fstatat(s->parent, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0;

		if (is_there && (is_dir || S_ISDIR(st.st_mode)))
			return apply_exchange(s, err);
		if (renameat(s->parent, s->order->temp, s->parent, s->name) == 0) {
			s->has_temp = false;
			return 0;
		}
		if (errno != EISDIR && errno != ENOTDIR)
			break;
	}
	return apply_error_file(err, "failed to rename the temporary file");
}

/* Removes the entry order->temp, of whatever type. */
static int
apply_remove_temp(const struct site *s)
{
	if (unlinkat(s->parent, s->order->temp, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	return unlinkat(s->parent, s->order->temp, AT_REMOVEDIR);
}
