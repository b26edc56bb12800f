/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a copier does with one order. Every directory on the way is opened without following any symlink, and everything
 * else happens through the fd of the parent and names without a slash. Worker only: may block for as long as the share
 * does. Never called by the loop.
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

#define SHARED    "shared/containers/"
#define BASE_LEN  (sizeof(SHARED) - 1)
#define BASE_MODE 0755 /* of the shared directory itself */

/* One order at work. */
struct site {
	int run, proc;
	const struct copy_order *order;
	int parent;       /* of the target, O_PATH */
	const char *name; /* the target's own, in order->path */
	bool has_temp;    /* something of ours is called order->temp */
	struct copy_result *result;
};

static bool
is_full(void)
{
	return errno == ENOSPC || errno == EDQUOT;
}

/* A full disk is not our failure. */
static int
error_file(struct error *err, const char *what)
{
	if (is_full())
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "%s", what);
	return error_sys(err, "%s", what);
}

static int
error_way(struct error *err, const char *dir)
{
	if (errno == ELOOP)
		return error_set(err, ERROR_PERMISSION_DENIED,
				 "directory %s: a symlink is on the way", dir);
	return error_sys_code(err, is_full() ? ERROR_RESOURCE_EXHAUSTED : ERROR_INTERNAL,
			      "open directory %s", dir);
}

/* ---- the way to the target ---- */

/* The next directory of the way; made if it is missing. */
static int
step_into(struct site *s, int from, const char *name, bool is_base)
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
make_way(struct site *s, char *way, struct error *err)
{
	auto_close int at = fcntl(s->run, F_DUPFD_CLOEXEC, 3);
	char *rest = way, *name;

	while (at >= 0 && (name = strsep(&rest, "/")) != NULL) {
		bool is_base = (size_t)(name - way) < BASE_LEN;
		int next = step_into(s, at, name, is_base);

		if (next < 0)
			return error_way(err, is_base ? SHARED : s->order->path);
		close_fd(&at);
		at = next;
	}
	return at < 0 ? error_sys(err, "open the run directory") : steal_fd(&at);
}

/* Opens the target's parent, and finds its own name. */
static int
open_parent(struct site *s, struct error *err)
{
	const struct copy_order *o = s->order;
	const char *slash = strrchr(o->path, '/');
	int n = slash ? (int)(slash - o->path) : 0;
	char way[PATH_MAX + BASE_LEN];

	s->name = slash ? slash + 1 : o->path;
	/* without the slash at its end */
	(void)snprintf(way, sizeof(way), SHARED "%.*s", n, o->path);
	if (n == 0)
		way[BASE_LEN - 1] = '\0';
	s->parent = path_try_open(s->run, way, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (s->parent >= 0)
		return 0;
	if (errno != ENOENT || o->act == COPY_DROP || (o->act == COPY_WRITE && !o->first))
		return error_way(err, way);
	s->parent = make_way(s, way, err);
	return s->parent < 0 ? -1 : 0;
}

/* Takes back directories that were made on the way, from the inside out, as far as they are empty. Where making them
 * failed, the innermost are not there. */
static void
unmake_way(struct site *s)
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

/* ---- the target ---- */

/* Whatever it is. */
static int
remove_temp(const struct site *s)
{
	if (unlinkat(s->parent, s->order->temp, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	return unlinkat(s->parent, s->order->temp, AT_REMOVEDIR);
}

/* A directory that is to be replaced must not have somebody's mount in it: it could not be removed then. */
static int
refuse_mounts(const struct site *s, struct error *err)
{
	auto_free char *text = mountinfo_read(s->proc, "self/mountinfo", err);
	char dir[PATH_MAX];
	char *rest = text, *line;
	struct mountinfo m;
	ssize_t n = path_real(s->parent, dir);

	if (!text)
		return -1;
	if (n < 0)
		return error_sys(err, "find the real path of the directory");
	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t len = strlen(s->name);
		const char *below;

		if (!mountinfo_parse(line, &m) || strncmp(m.point, dir, (size_t)n) != 0 ||
		    m.point[n] != '/' || strncmp(m.point + n + 1, s->name, len) != 0)
			continue;
		below = m.point + n + 1 + len;
		if (*below == '\0' || *below == '/')
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "a directory is in its place in which something is "
					 "mounted, on %s",
					 m.point);
	}
	return 0;
}

/* Where the file system cannot exchange names: not at once then. */
static int
replace_by_steps(struct site *s, struct error *err)
{
	if (path_remove_tree(s->parent, s->name, err) < 0)
		return -1;
	if (renameat(s->parent, s->order->temp, s->parent, s->name) < 0)
		return error_file(err, "put it in its place");
	s->has_temp = false;
	return 0;
}

/* The old one, of another kind, gets the temporary name, and is removed. */
static int
exchange(struct site *s, struct error *err)
{
	if (refuse_mounts(s, err) < 0)
		return -1;
	if (sys_renameat2(s->parent, s->order->temp, s->parent, s->name, SYS_RENAME_EXCHANGE) < 0) {
		if (errno == EINVAL || errno == ENOSYS)
			return replace_by_steps(s, err);
		return error_file(err, "put it in its place");
	}
	s->has_temp = false;
	if (path_remove_tree(s->parent, s->order->temp, err) < 0)
		return error_wrap(err,
				  "it is in its place, but what was there before is left as %s",
				  s->order->temp);
	return 0;
}

/* The temporary one becomes the target. */
static int
put_in_place(struct site *s, bool is_dir, struct error *err)
{
	struct stat st;

	/* once more if somebody put something else there meanwhile */
	for (int i = 0; i < 8; i++) {
		bool is_there = fstatat(s->parent, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0;

		if (is_there && (is_dir || S_ISDIR(st.st_mode)))
			return exchange(s, err);
		if (renameat(s->parent, s->order->temp, s->parent, s->name) == 0) {
			s->has_temp = false;
			return 0;
		}
		if (errno != EISDIR && errno != ENOTDIR)
			break;
	}
	return error_file(err, "put it in its place");
}

static int
set_owner_and_mode(int fd, const struct copy_order *o, struct error *err)
{
	/* in this order: a change of the owner takes set-id bits away */
	if ((o->uid != UINT32_MAX || o->gid != UINT32_MAX) && fchown(fd, o->uid, o->gid) < 0)
		return error_sys(err, "give it to %d:%d", (int)o->uid, (int)o->gid);
	if (fchmod(fd, o->mode) < 0)
		return error_sys(err, "set its mode %o", o->mode);
	return 0;
}

/* What is no directory makes way for one. */
static int
replace_by_dir(struct site *s, struct error *err)
{
	auto_close int fd = -1;

	if (mkdirat(s->parent, s->order->temp, 0700) < 0)
		return error_file(err, "make it");
	s->has_temp = true;
	fd = path_try_open(s->parent, s->order->temp, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (fd < 0)
		return error_sys(err, "open it");
	return set_owner_and_mode(fd, s->order, err) < 0 ? -1 : put_in_place(s, true, err);
}

/* One that is there keeps what it has: also one that another order makes just now, on the way to what lies in it. */
static int
make_dir(struct site *s, struct error *err)
{
	bool is_made = mkdirat(s->parent, s->name, 0700) == 0;
	auto_close int fd = -1;

	if (!is_made && errno != EEXIST)
		return error_file(err, "make it");
	fd = path_try_open(s->parent, s->name, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? replace_by_dir(s, err)
							  : error_sys(err, "open it");
	if (set_owner_and_mode(fd, s->order, err) == 0)
		return 0;
	if (is_made)
		(void)unlinkat(s->parent, s->name, AT_REMOVEDIR);
	return -1;
}

static int
make_link(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;
	char target[PATH_MAX];

	memcpy(target, data, o->len);
	target[o->len] = '\0';
	if (symlinkat(target, s->parent, o->temp) < 0)
		return error_file(err, "make it");
	s->has_temp = true;
	if ((o->uid != UINT32_MAX || o->gid != UINT32_MAX) &&
	    fchownat(s->parent, o->temp, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "give it to %d:%d", (int)o->uid, (int)o->gid);
	return put_in_place(s, false, err);
}

static int
begin_temp(struct site *s, struct error *err)
{
	struct stat st;
	auto_close int fd = path_try_open(s->parent, s->order->temp, O_CREAT | O_EXCL | O_WRONLY,
					  0600, PATH_FOLLOW_NONE);

	if (fd < 0)
		return error_file(err, "make a temporary file for it");
	s->has_temp = true;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at its temporary file");
	s->result->dev = st.st_dev;
	s->result->ino = st.st_ino;
	return steal_fd(&fd);
}

/* The very one that was begun: whoever can write to the directory may have put something else there. */
static int
open_temp(struct site *s, struct error *err)
{
	struct stat st;
	int fd;
	auto_close int path =
		path_try_open(s->parent, s->order->temp, O_PATH | O_NOFOLLOW, 0, PATH_FOLLOW_NONE);

	if (path < 0 || fstat(path, &st) < 0)
		return error_sys(err, "open its temporary file");
	if (!S_ISREG(st.st_mode) || st.st_dev != s->order->dev || st.st_ino != s->order->ino)
		return error_set(err, ERROR_ABORTED, "its temporary file was replaced");
	s->has_temp = true;
	fd = path_reopen(path, O_WRONLY);
	return fd < 0 ? error_sys(err, "open its temporary file") : fd;
}

static int
write_at(int fd, const uint8_t *data, size_t n, uint64_t offset, struct error *err)
{
	while (n > 0) {
		ssize_t written = pwrite(fd, data, n, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_file(err, "write to it");
		data += written;
		n -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

static int
write_part(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;
	auto_close int fd = o->first ? begin_temp(s, err) : open_temp(s, err);

	if (fd < 0 || write_at(fd, data, o->len, o->offset, err) < 0)
		return -1;
	if (!o->last)
		return 0;
	return set_owner_and_mode(fd, o, err) < 0 ? -1 : put_in_place(s, false, err);
}

/* ---- an order ---- */

static int
copy_apply_place(struct site *s, const uint8_t *data, struct error *err)
{
	const struct copy_order *o = s->order;

	if (open_parent(s, err) < 0)
		return -1;
	/* what an earlier copy to the same path has begun is not gone on with */
	if (o->act != COPY_WRITE || o->first)
		if (remove_temp(s) < 0)
			return error_sys(err, "remove the temporary file %s", o->temp);
	switch (o->act) {
	case COPY_MAKE_DIR:
		return make_dir(s, err);
	case COPY_MAKE_LINK:
		return make_link(s, data, err);
	case COPY_WRITE:
		return write_part(s, data, err);
	case COPY_DROP:
		unmake_way(s);
		return 0;
	}
	return error_set(err, ERROR_INTERNAL, "unknown order %d", (int)o->act);
}

/* Another order that failed has taken back the directory, since it had made it, after it was opened here. */
static bool
is_unmade(const struct site *s)
{
	struct stat st;

	return s->parent >= 0 && fstat(s->parent, &st) == 0 && st.st_nlink == 0;
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

	*result = (struct copy_result){
		.dev = order->dev,
		.ino = order->ino,
		.made = order->made,
		.is_clean = true,
	};
	for (int i = 0; copy_apply_place(&s, data, &result->err) < 0; i++) {
		if (i < 8 && is_unmade(&s)) {
			close_fd(&s.parent);
			s.has_temp = false;
			result->err = ERROR_INIT;
			continue;
		}
		if (s.has_temp && s.parent >= 0)
			(void)remove_temp(&s);
		unmake_way(&s);
		error_wrap(&result->err, "copy to " COPY_DIR "%s", order->path);
		break;
	}
	close_fd(&s.parent);
}
