/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing in the source is trusted: it may change at any moment, even the types of its entries.
 * Symbolic links are never followed, a file is opened only after a descriptor (O_PATH) has shown
 * that it is a regular one, and only these and directories and links are copied.
 *
 * A kubelet writes a ConfigMap or Secret in the form below. An update makes a new version, renames
 * a new link to it over ..data, adapts the links of the keys, and removes the old version.
 *
 * 	..2026_01_01_00_00_00.1234/key    a version
 * 	..data -> ..2026_01_01_00_00_00.1234
 * 	key -> ..data/key
 *
 * mirror_sync() does the same in the copy:
 *    remove old versions -> read ..data -> copy its version to staging -> compare ..data again ->
 *    rename the version, then a new ..data, into place -> the other entries of the root
 *
 * A version stays until the next copy, so that no reader that has just read ..data misses it. Every
 * other tree is replaced file by file.
 */
#include "agent/storage/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"

#define DATA_LINK "..data"
/* Levels of directories; each takes two descriptors while it is being copied. */
#define DEPTH_MAX 128
/* Entries of one directory: more than the tmpfs has inodes. */
#define NAMES_MAX 131072
/* Attempts to copy a file that changes meanwhile. */
#define FILE_TRIES   3
#define REMOVE_TRIES 16
#define BUFFER_SIZE  (128u << 10)
#define PAGE         4096u

#ifndef AT_STATX_FORCE_SYNC
#define AT_STATX_FORCE_SYNC 0x2000
#endif

/* Used by workers only, one volume after the other. */
static char mirror_buffer[BUFFER_SIZE];

/* The link ..data of the source. */
struct mirror_link {
	/* O_PATH */
	int fd;
	struct stat st;
	char version[NAME_MAX + 1];
};

/* A directory that is being copied, and its copy. */
struct mirror_pair {
	int from, to;
	dev_t dev;
	unsigned int depth;
};

static int mirror_dir(struct mirror *m, int source, int to, unsigned int depth, struct error *err);

/* ---- helpers ---- */

static bool
mirror_is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
mirror_is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Returns whether an open of an entry failed because the entry was removed or replaced. */
static bool
mirror_is_race(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ESTALE ||
	       errnum == EXDEV;
}

static int
mirror_error(struct error *err, const char *what, const char *name)
{
	if (errno == ENOSPC || errno == EDQUOT || errno == ENOMEM)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "failed to %s %s", what, name);
	return error_sys(err, "failed to %s %s", what, name);
}

static int
mirror_check_deadline(const struct mirror *m, struct error *err)
{
	if (m->deadline && deadline_is_over(m->deadline))
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "copying it takes too long");
	return 0;
}

static void
mirror_temp_name(struct mirror *m, char out[static 16])
{
	(void)snprintf(out, 16, "%u", m->serial++);
}

static int
mirror_remove_entry(struct mirror *m, int dir, const char *name, struct error *err)
{
	if (path_remove_tree(dir, name, err) < 0)
		return -1;
	m->changed++;
	return 0;
}

/* Puts the completed entry `temp` in place of dir/name. A directory and another entry can only be
 * exchanged. */
static int
mirror_put(struct mirror *m, const char *temp, int dir, const char *name, struct error *err)
{
	struct stat old, new;

	if (fstatat(m->staging, temp, &new, AT_SYMLINK_NOFOLLOW) < 0)
		return mirror_error(err, "stat the copy of", name);
	m->changed++;
	if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISDIR(old.st_mode) || S_ISDIR(new.st_mode))) {
		if (sys_renameat2(m->staging, temp, dir, name, SYS_RENAME_EXCHANGE) < 0)
			return mirror_error(err, "replace", name);
		return path_remove_tree(m->staging, temp, err);
	}
	if (renameat(m->staging, temp, dir, name) < 0)
		return mirror_error(err, "replace", name);
	return 0;
}

/* Gives the copy at fd the owner, mode and modification time of its source. */
static int
mirror_set_attributes(struct mirror *m, int fd, const struct stat *st, const char *name,
		      struct error *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	bool is_owner, is_mode, is_time;
	struct stat now;

	if (fstat(fd, &now) < 0)
		return mirror_error(err, "stat the copy of", name);
	is_owner = now.st_uid == st->st_uid && now.st_gid == st->st_gid;
	is_mode = (now.st_mode & 07777) == (st->st_mode & 07777);
	is_time = mirror_is_same_time(&now.st_mtim, &st->st_mtim);
	if (is_owner && is_mode && is_time)
		return 0;
	m->changed++;
	/* The owner first: changing it clears set-id bits. */
	if (!is_owner && fchown(fd, st->st_uid, st->st_gid) < 0)
		return mirror_error(err, "change the owner of the copy of", name);
	if ((!is_owner || !is_mode) && fchmod(fd, st->st_mode & 07777) < 0)
		return mirror_error(err, "change the mode of the copy of", name);
	if (!is_time && futimens(fd, times) < 0)
		return mirror_error(err, "set the time of the copy of", name);
	return 0;
}

/* ---- regular files ---- */

/* Opens a file of the source as *fd. Returns 1, 0 if it is no longer a regular file, or -1. */
static int
mirror_open_file(const struct mirror_pair *p, const char *name, int *fd, struct error *err)
{
	auto_close int path = path_try_open(p->from, name, O_PATH, 0, PATH_FOLLOW_NONE);
	struct stat st;

	if (path < 0)
		return mirror_is_race(errno) ? 0 : mirror_error(err, "open", name);
	if (fstat(path, &st) < 0)
		return mirror_is_race(errno) ? 0 : mirror_error(err, "stat", name);
	if (!S_ISREG(st.st_mode) || st.st_dev != p->dev)
		return 0;
	*fd = path_reopen(path, O_RDONLY | O_NONBLOCK);
	if (*fd < 0)
		return mirror_is_race(errno) ? 0 : mirror_error(err, "open", name);
	return 1;
}

static bool
mirror_is_same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && mirror_is_same_time(&a->st_mtim, &b->st_mtim);
}

/* Copies the bytes of a file. Returns 1, 0 if the file changed meanwhile (the copy then holds what
 * was read), or -1. */
static int
mirror_copy_bytes(const struct mirror *m, int from, int to, const char *name, struct stat *st,
		  struct error *err)
{
	struct stat after;
	off_t size = 0;

	/* If this is out of date, it differs from what the share says afterwards. */
	if (fstat(from, st) < 0)
		return mirror_error(err, "stat", name);
	for (;;) {
		ssize_t n = RETRY_EINTR(read(from, mirror_buffer, BUFFER_SIZE));

		if (n < 0)
			return mirror_error(err, "read", name);
		if (n == 0)
			break;
		if (write_full(to, mirror_buffer, (size_t)n) < 0)
			return mirror_error(err, "write the copy of", name);
		if (mirror_check_deadline(m, err) < 0)
			return -1;
		size += n;
	}
	if (fstatat(from, "", &after, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
		return mirror_error(err, "stat", name);
	return size == st->st_size && mirror_is_same_content(st, &after) &&
	       mirror_is_same_time(&st->st_ctim, &after.st_ctim);
}

/* Notes a file that was just copied: see verify_from. */
static void
mirror_note_time(struct mirror *m, const struct timespec *time)
{
	if (m->copied == 0 || mirror_is_before(time, &m->now_from))
		m->now_from = *time;
	if (m->copied == 0 || mirror_is_before(&m->now_to, time))
		m->now_to = *time;
	m->copied++;
}

/* Copies a file to staging, sets its attributes, and puts it in place. */
static int
mirror_replace_file(struct mirror *m, const struct mirror_pair *p, const char *name,
		    struct error *err)
{
	char temp[16];
	int r = 0;

	for (int i = 0; i < FILE_TRIES && r == 0; i++) {
		auto_close int from = -1;
		auto_close int to = -1;
		struct stat st;

		r = mirror_open_file(p, name, &from, err);
		if (r <= 0) {
			m->raced += r == 0;
			return r;
		}
		mirror_temp_name(m, temp);
		to = path_try_open(m->staging, temp, O_CREAT | O_EXCL | O_WRONLY, 0600,
				   PATH_FOLLOW_NONE);
		if (to < 0)
			return mirror_error(err, "create the copy of", name);
		r = mirror_copy_bytes(m, from, to, name, &st, err);
		if (r < 0)
			return -1;
		/* A file that never stops changing is published as a reader would find it. */
		if (r == 0) {
			m->raced++;
			if (i < FILE_TRIES - 1) {
				(void)unlinkat(m->staging, temp, 0);
				continue;
			}
		}
		if (mirror_set_attributes(m, to, &st, name, err) < 0)
			return -1;
		mirror_note_time(m, &st.st_mtim);
		return mirror_put(m, temp, p->to, name, err);
	}
	return r;
}

/* Returns 1 if the contents of a file and its copy are the same, 0 if not, or -1. */
static int
mirror_compare_bytes(const struct mirror_pair *p, const char *name, struct error *err)
{
	auto_close int copy =
		path_try_open(p->to, name, O_RDONLY | O_NONBLOCK, 0, PATH_FOLLOW_NONE);
	auto_close int from = -1;
	char *first = mirror_buffer, *second = first + BUFFER_SIZE / 2;
	int r = mirror_open_file(p, name, &from, err);

	if (r <= 0 || copy < 0)
		return r;
	for (;;) {
		ssize_t n = read_full(from, first, BUFFER_SIZE / 2);

		if (n < 0)
			return mirror_error(err, "read", name);
		if (read_full(copy, second, BUFFER_SIZE / 2) != n ||
		    memcmp(first, second, (size_t)n) != 0)
			return 0;
		if (n == 0)
			return 1;
	}
}

static int
mirror_file(struct mirror *m, const struct mirror_pair *p, const char *name, const struct stat *st,
	    struct error *err)
{
	auto_close int copy = -1;
	struct stat now;
	int is_same;

	if (fstatat(p->to, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(now.st_mode) ||
	    !mirror_is_same_content(&now, st))
		return mirror_replace_file(m, p, name, err);
	if (!mirror_is_before(&st->st_mtim, &m->verify_from) &&
	    !mirror_is_before(&m->verify_to, &st->st_mtim)) {
		is_same = mirror_compare_bytes(p, name, err);
		if (is_same <= 0)
			return is_same < 0 ? -1 : mirror_replace_file(m, p, name, err);
	}
	if (now.st_uid == st->st_uid && now.st_gid == st->st_gid && now.st_mode == st->st_mode)
		return 0;
	copy = path_try_open(p->to, name, O_RDONLY | O_NONBLOCK, 0, PATH_FOLLOW_NONE);
	if (copy < 0)
		return mirror_error(err, "open the copy of", name);
	return mirror_set_attributes(m, copy, st, name, err);
}

/* ---- links ---- */

static int
mirror_make_link(struct mirror *m, const char *text, const struct stat *st, int dir,
		 const char *name, struct error *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	char temp[16];

	mirror_temp_name(m, temp);
	if (symlinkat(text, m->staging, temp) < 0)
		return mirror_error(err, "create the copy of", name);
	if (fchownat(m->staging, temp, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return mirror_error(err, "change the owner of the copy of", name);
	if (utimensat(m->staging, temp, times, AT_SYMLINK_NOFOLLOW) < 0)
		return mirror_error(err, "set the time of the copy of", name);
	return mirror_put(m, temp, dir, name, err);
}

static bool
mirror_is_same_link(int dir, const char *name, const char *text, const struct stat *st)
{
	char now[PATH_MAX];
	struct stat old;
	ssize_t n;

	if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(old.st_mode) ||
	    old.st_uid != st->st_uid || old.st_gid != st->st_gid)
		return false;
	n = readlinkat(dir, name, now, sizeof(now) - 1);
	if (n < 0)
		return false;
	now[n] = '\0';
	return strcmp(now, text) == 0;
}

static int
mirror_symlink(struct mirror *m, const struct mirror_pair *p, const char *name, struct error *err)
{
	auto_close int fd = path_try_open(p->from, name, O_PATH, 0, PATH_FOLLOW_PARENT);
	char text[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISLNK(st.st_mode)) {
		m->raced++;
		return 0;
	}
	n = readlinkat(fd, "", text, sizeof(text) - 1);
	if (n < 0 && !mirror_is_race(errno))
		return mirror_error(err, "read the link", name);
	if (n <= 0) {
		m->raced++;
		return 0;
	}
	text[n] = '\0';
	if (mirror_is_same_link(p->to, name, text, &st))
		return 0;
	return mirror_make_link(m, text, &st, p->to, name, err);
}

/* ---- directories ---- */

struct mirror_names {
	struct mirror_name {
		char *name;
		/* The copy has it, too. */
		bool is_copied;
	} * list;
	size_t n, size;
};

static int
mirror_compare_names(const void *a, const void *b)
{
	return strcmp(((const struct mirror_name *)a)->name, ((const struct mirror_name *)b)->name);
}

static void
mirror_names_release(struct mirror_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i].name);
	free(names->list);
}

/* Lists the directory fd in the order of the names. */
static int
mirror_names_read(int dirfd, struct mirror_names *names, struct error *err)
{
	int fd = path_open(dirfd, ".", O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE, err);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = -1;

	if (fd < 0)
		return -1;
	if (!dir) {
		(void)close(fd);
		return error_nomem(err, "listing a directory");
	}
	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e)
			break;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (names->n == NAMES_MAX) {
			error_set(err, ERROR_RESOURCE_EXHAUSTED,
				  "a directory has more than %d entries", NAMES_MAX);
			goto out;
		}
		if (names->n == names->size) {
			size_t size = names->size ? 2 * names->size : 64;
			void *grown = realloc(names->list, size * sizeof(*names->list));

			if (!grown) {
				error_nomem(err, "listing a directory");
				goto out;
			}
			names->list = grown;
			names->size = size;
		}
		names->list[names->n] = (struct mirror_name){ .name = strdup(e->d_name) };
		if (!names->list[names->n].name) {
			error_nomem(err, "listing a directory");
			goto out;
		}
		names->n++;
	}
	if (errno)
		error_sys(err, "failed to list a directory");
	else
		r = 0;
out:
	(void)closedir(dir);
	if (r == 0 && names->n > 0)
		qsort(names->list, names->n, sizeof(*names->list), mirror_compare_names);
	return r;
}

static bool
mirror_names_have(const struct mirror_names *names, const char *name)
{
	const struct mirror_name key = { .name = (char *)(uintptr_t)name };
	const struct mirror_name *found =
		names->n == 0
			? NULL
			: bsearch(&key, names->list, names->n, sizeof(key), mirror_compare_names);

	return found && found->is_copied;
}

/* Copies the directory `source` to staging, and puts it in place as dir/name. */
static int
mirror_new_dir(struct mirror *m, int source, int dir, const char *name, const struct stat *st,
	       unsigned int depth, struct error *err)
{
	auto_close int to = -1;
	char temp[16];

	mirror_temp_name(m, temp);
	if (mkdirat(m->staging, temp, 0700) < 0)
		return mirror_error(err, "create the copy of", name);
	to = path_open(m->staging, temp, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE, err);
	if (to < 0 || mirror_dir(m, source, to, depth, err) < 0 ||
	    mirror_set_attributes(m, to, st, name, err) < 0)
		return -1;
	return dir < 0 ? 0 : mirror_put(m, temp, dir, name, err);
}

static int
mirror_subdir(struct mirror *m, const struct mirror_pair *p, const char *name,
	      const struct stat *st, struct error *err)
{
	auto_close int source =
		path_try_open(p->from, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	auto_close int to = -1;

	if (source < 0 && !mirror_is_race(errno))
		return mirror_error(err, "open directory", name);
	if (source < 0) {
		m->raced++;
		return 0;
	}
	to = path_try_open(p->to, name, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	if (to < 0)
		return mirror_new_dir(m, source, p->to, name, st, p->depth + 1, err);
	if (mirror_dir(m, source, to, p->depth + 1, err) < 0)
		return -1;
	return mirror_set_attributes(m, to, st, name, err);
}

/* Copies one entry. Returns 1 if the copy has it, 0 if not, or -1. */
static int
mirror_entry(struct mirror *m, const struct mirror_pair *p, const char *name, struct error *err)
{
	unsigned int raced = m->raced;
	int flags = AT_SYMLINK_NOFOLLOW;
	struct stat st;
	int r;

	if (mirror_check_deadline(m, err) < 0)
		return -1;
	/* To compare, the share must not answer from a cache; a new entry can be in none. */
	if (fstatat(p->to, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		flags |= AT_STATX_FORCE_SYNC;
	if (fstatat(p->from, name, &st, flags) < 0) {
		if (!mirror_is_race(errno))
			return mirror_error(err, "stat", name);
		m->raced++;
		return 0;
	}
	if (st.st_dev != p->dev) {
		m->skipped++;
		return 0;
	}
	if (S_ISREG(st.st_mode)) {
		m->bytes += ((uint64_t)st.st_size + PAGE - 1) / PAGE * PAGE;
		r = mirror_file(m, p, name, &st, err);
	} else if (S_ISDIR(st.st_mode)) {
		r = mirror_subdir(m, p, name, &st, err);
	} else if (S_ISLNK(st.st_mode)) {
		r = mirror_symlink(m, p, name, err);
	} else {
		m->skipped++;
		return 0;
	}
	if (r < 0)
		return -1;
	m->entries++;
	/* An entry that changed its type stays in the copy until the next time. */
	if (m->raced != raced)
		return fstatat(p->to, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return 1;
}

static bool
mirror_is_version_name(const char *name)
{
	return strncmp(name, "..", 2) == 0;
}

/* Reads ..data of the source. Returns 1, 0 if the source has no versions, or -1. */
static int
mirror_read_link(const struct mirror *m, struct mirror_link *link, struct error *err)
{
	ssize_t n;

	/* Fails, since the link exists or the mount is read-only. But a call that may create an
	 * entry makes FUSE ask the server for it, whatever it has cached. */
	if (m->is_readonly)
		(void)mkdirat(m->source, DATA_LINK, 0700);
	link->fd = path_try_open(m->source, DATA_LINK, O_PATH, 0, PATH_FOLLOW_PARENT);
	if (link->fd < 0)
		return errno == ENOENT ? 0 : mirror_error(err, "open", DATA_LINK);
	if (fstatat(link->fd, "", &link->st, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
		return mirror_error(err, "stat", DATA_LINK);
	if (!S_ISLNK(link->st.st_mode))
		return 0;
	n = readlinkat(link->fd, "", link->version, NAME_MAX);
	if (n < 0)
		return mirror_error(err, "read the link", DATA_LINK);
	link->version[n] = '\0';
	/* A version has a name of its own that begins with two dots. */
	return n > 2 && mirror_is_version_name(link->version) && !strchr(link->version, '/') &&
	       strcmp(link->version, DATA_LINK) != 0;
}

/* Returns whether ..data is still the link that was read, and names a version that exists: the
 * version was then complete all the time. */
static bool
mirror_is_current(const struct mirror *m, const struct mirror_link *link)
{
	struct mirror_link now = { .fd = -1 };
	struct error ignored = ERROR_INIT;
	struct stat st;
	bool is_current = mirror_read_link(m, &now, &ignored) == 1 &&
			  strcmp(now.version, link->version) == 0 &&
			  now.st.st_ino == link->st.st_ino &&
			  mirror_is_same_time(&now.st.st_ctim, &link->st.st_ctim) &&
			  fstatat(link->fd, "", &st, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) == 0 &&
			  st.st_nlink > 0 && mirror_is_same_time(&st.st_ctim, &link->st.st_ctim);

	close_fd(&now.fd);
	return is_current;
}

static int
mirror_aborted(struct error *err)
{
	return error_set(err, ERROR_ABORTED, "the volume was changed while it was being copied");
}

/* Removes the entries of the copy that the source no longer has. A version that is no longer
 * current may have lost them because it is being removed: its copy, which containers read, keeps
 * them. */
static int
mirror_remove_others(struct mirror *m, int to, const struct mirror_names *names, bool has_versions,
		     struct error *err)
{
	struct mirror_names copies = { 0 };
	int r = mirror_names_read(to, &copies, err);

	for (size_t i = 0; r == 0 && i < copies.n; i++) {
		const char *name = copies.list[i].name;

		if (mirror_names_have(names, name) ||
		    (has_versions && mirror_is_version_name(name)))
			continue;
		if (m->version && !mirror_is_current(m, m->version))
			r = mirror_aborted(err);
		else
			r = mirror_remove_entry(m, to, name, err);
	}
	mirror_names_release(&copies);
	return r;
}

/* Makes the directory `to` equal to `source`. With `has_versions`, ..data and the versions are left
 * to mirror_version(). */
static int
mirror_entries(struct mirror *m, int source, int to, unsigned int depth, bool has_versions,
	       struct error *err)
{
	auto_close int from =
		path_try_open(source, ".", O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	struct mirror_pair p = { .from = from, .to = to, .depth = depth };
	struct mirror_names names = { 0 };
	struct stat st;
	int r = -1;

	if (from < 0 && mirror_is_race(errno)) {
		m->raced++;
		return 0;
	}
	if (from < 0)
		return error_sys(err, "failed to open a directory of the share");
	if (depth > DEPTH_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "directories are nested more than %d levels deep", DEPTH_MAX);
	if (fstat(from, &st) < 0)
		return error_sys(err, "failed to stat a directory of the share");
	p.dev = st.st_dev;
	if (mirror_names_read(from, &names, err) < 0)
		goto out;
	for (size_t i = 0; i < names.n; i++) {
		int copied;

		if (has_versions && mirror_is_version_name(names.list[i].name))
			continue;
		copied = mirror_entry(m, &p, names.list[i].name, err);
		if (copied < 0)
			goto out;
		names.list[i].is_copied = copied > 0;
	}
	r = mirror_remove_others(m, to, &names, has_versions, err);
out:
	mirror_names_release(&names);
	return r;
}

static int
mirror_dir(struct mirror *m, int source, int to, unsigned int depth, struct error *err)
{
	return mirror_entries(m, source, to, depth, false, err);
}

/* ---- versions ---- */

/* Removes the versions that the copy's ..data no longer names. */
static int
mirror_remove_old_versions(struct mirror *m, struct error *err)
{
	struct mirror_names names = { 0 };
	char current[NAME_MAX + 1];
	ssize_t n = readlinkat(m->data, DATA_LINK, current, NAME_MAX);
	int r;

	if (n < 0)
		return 0;
	current[n] = '\0';
	r = mirror_names_read(m->data, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const char *name = names.list[i].name;

		if (mirror_is_version_name(name) && strcmp(name, DATA_LINK) != 0 &&
		    strcmp(name, current) != 0)
			r = mirror_remove_entry(m, m->data, name, err);
	}
	mirror_names_release(&names);
	return r;
}

/* Brings the version that ..data names, and a link to it, into the copy. */
static int
mirror_version(struct mirror *m, const struct mirror_link *link, struct error *err)
{
	const char *name = link->version;
	auto_close int source =
		path_try_open(m->source, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	auto_close int to =
		path_try_open(m->data, name, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	unsigned int first = m->serial;
	struct stat st;
	char temp[16];

	if (source < 0)
		return mirror_is_race(errno) ? mirror_aborted(err)
					     : mirror_error(err, "open directory", name);
	if (fstatat(source, "", &st, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
		return mirror_is_race(errno) ? mirror_aborted(err)
					     : mirror_error(err, "stat directory", name);
	if (to >= 0) {
		int r;

		/* It was copied before: only its modes, owners and files may have been changed. */
		m->version = link;
		r = mirror_dir(m, source, to, 1, err);
		m->version = NULL;
		if (r < 0)
			return -1;
		if (mirror_set_attributes(m, to, &st, name, err) < 0)
			return -1;
	} else {
		if (mirror_new_dir(m, source, -1, name, &st, 1, err) < 0)
			return m->raced > 0 && err->code == ERROR_INTERNAL ? mirror_aborted(err)
									   : -1;
		if (m->raced > 0 || !mirror_is_current(m, link))
			return mirror_aborted(err);
		(void)snprintf(temp, sizeof(temp), "%u", first);
		if (mirror_put(m, temp, m->data, name, err) < 0)
			return -1;
	}
	if (mirror_is_same_link(m->data, DATA_LINK, name, &link->st))
		return 0;
	return mirror_make_link(m, name, &link->st, m->data, DATA_LINK, err);
}

/* ---- the copy ---- */

void
mirror_close(struct mirror *m)
{
	close_fd(&m->source);
	close_fd(&m->data);
	close_fd(&m->staging);
}

void
mirror_set_source(struct mirror *m, int source)
{
	struct statvfs fs;

	close_fd(&m->source);
	m->source = source;
	m->is_readonly = fstatvfs(source, &fs) == 0 && (fs.f_flag & ST_RDONLY);
	m->root = (struct stat){ 0 };
}

int
mirror_open(struct mirror *m, int source, int place, bool create, struct error *err)
{
	static const char *const names[] = { MIRROR_DATA, MIRROR_STAGING };
	int *const fds[] = { &m->data, &m->staging };

	*m = MIRROR_NONE;
	/* No time is in an empty range. */
	m->verify_from.tv_sec = 1;
	mirror_set_source(m, source);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (create && mkdirat(place, names[i], 0700) < 0) {
			mirror_error(err, "create directory", names[i]);
			goto fail;
		}
		*fds[i] = path_open(place, names[i], O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE,
				    err);
		if (*fds[i] < 0)
			goto fail;
	}
	return 0;
fail:
	mirror_close(m);
	return -1;
}

int
mirror_has_changed(const struct mirror *m)
{
	struct stat st;

	if (fstatat(m->source, "", &st, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
		return -1;
	if (st.st_nlink == 0) {
		errno = ENOENT;
		return -1;
	}
	return st.st_ino != m->root.st_ino || !mirror_is_same_time(&st.st_mtim, &m->root.st_mtim) ||
	       !mirror_is_same_time(&st.st_ctim, &m->root.st_ctim);
}

int
mirror_sync(struct mirror *m, struct error *err)
{
	static const struct mirror_names nothing;
	struct mirror_link link = { .fd = -1 };
	struct stat root;
	int r;

	m->changed = m->copied = m->raced = m->skipped = 0;
	m->bytes = m->entries = 0;
	m->serial = 0;
	if (fstatat(m->source, "", &root, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
		return error_sys(err, "failed to stat the volume");
	/* A former attempt may have left entries. */
	if (mirror_remove_others(m, m->staging, &nothing, false, err) < 0)
		return -1;
	m->changed = 0;
	r = mirror_read_link(m, &link, err);
	if (r >= 0) {
		m->has_versions = r == 1;
		r = 0;
	}
	if (r == 0 && m->has_versions) {
		r = mirror_remove_old_versions(m, err);
		if (r == 0)
			r = mirror_version(m, &link, err);
	}
	if (r == 0)
		r = mirror_entries(m, m->source, m->data, 0, m->has_versions, err);
	close_fd(&link.fd);
	if (r == 0)
		r = mirror_set_attributes(m, m->data, &root, "the volume", err);
	/* A copy that failed may have copied files, too, and is followed by another one. */
	if (r == 0 || m->copied > 0) {
		m->verify_from = m->copied > 0 ? m->now_from : (struct timespec){ .tv_sec = 1 };
		m->verify_to = m->copied > 0 ? m->now_to : (struct timespec){ 0 };
	}
	if (r < 0) {
		struct error ignored = ERROR_INIT;

		(void)mirror_remove_others(m, m->staging, &nothing, false, &ignored);
		return -1;
	}
	m->root = root;
	if (m->raced)
		memset(&m->root, 0, sizeof(m->root));
	return m->changed > 0;
}

int
mirror_check_room(const struct mirror *m, struct error *err)
{
	struct statvfs fs;

	if (fstatvfs(m->data, &fs) < 0)
		return error_sys(err, "failed to read the size of the copies");
	if ((uint64_t)fs.f_bavail * fs.f_bsize >= m->bytes && fs.f_favail >= m->entries)
		return 0;
	return error_set(err, ERROR_RESOURCE_EXHAUSTED,
			 "an update would not fit: %llu bytes in %llu entries",
			 (unsigned long long)m->bytes, (unsigned long long)m->entries);
}

int
mirror_remove(int place, struct error *err)
{
	int r = -1;

	/* Nothing can be created in a directory that is removed, so this ends. */
	for (int i = 0; r < 0 && i < REMOVE_TRIES; i++) {
		*err = ERROR_INIT;
		r = path_remove_tree(place, MIRROR_STAGING, err);
		if (r == 0)
			r = path_remove_tree(place, MIRROR_DATA, err);
	}
	return r;
}
