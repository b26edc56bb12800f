/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/archive/tarread.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* Files up to this size are kept in memory, as long as they are no more than this together. */
#define SMALL_FILE ((int64_t)4096)
#define SMALL_MAX  ((uint64_t)16 << 20)
/* As for a file of a directory: see image_add_file(). */
#define FILE_MAX ((int64_t)UINT32_MAX)

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
/* Names that aufs reserved; OCI images of its time have them. */
#define WHITEOUT_META ".wh..wh."

struct tar {
	struct build *build;
	const char *what;
	tar_input_fn *input;
	void *data;
	bool is_layer;
	struct archive *archive;
	/* Set by a callback, whose caller is the library. */
	struct error *err;
	bool input_failed;
};

static la_ssize_t tar_fill(struct archive *archive, void *data, const void **bytes);
static int tar_add_member(struct tar *tar, struct archive_entry *member, struct error *err);
static int tar_clean_path(const struct tar *tar, const char *name, char **out, struct error *err);
static int tar_take_whiteout(struct tar *tar, const char *path, bool *taken, struct error *err);
static int tar_make_room(struct tar *tar, const char *path, mode_t type, struct error *err);
static int tar_add_file(struct tar *tar, struct archive_entry *member, const char *path,
			uint32_t perm, struct error *err);
static int tar_copy_content(struct tar *tar, int fd, const char *path, struct error *err);
static int tar_set_owner(struct tar *tar, struct archive_entry *member, const char *path,
			 struct error *err);
static int tar_set_xattrs(struct tar *tar, struct archive_entry *member, const char *path,
			  struct error *err);

/* Sets the error of the library. */
static int
tar_failed(struct tar *tar, struct error *err)
{
	const char *text = archive_error_string(tar->archive);

	if (tar->input_failed || work_check(err) < 0)
		return -1;
	return error_set(err, ERROR_DATA_LOSS, "%s", text ? text : "damaged archive");
}

int
tar_read(struct build *build, const char *what, tar_input_fn *input, void *data, bool is_layer,
	 struct error *err)
{
	struct tar tar = { build, what, input, data, is_layer, archive_read_new(), err, false };
	struct archive_entry *member;
	int r = 0, got;

	if (!tar.archive)
		return error_nomem(err, "reading an archive");
	/* The library converts names to the character set of the locale. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	(void)archive_read_support_filter_gzip(tar.archive);
	(void)archive_read_support_filter_xz(tar.archive);
	(void)archive_read_support_filter_zstd(tar.archive);
	(void)archive_read_support_format_tar(tar.archive);
	(void)archive_read_support_format_gnutar(tar.archive);
	if (archive_read_open(tar.archive, &tar, NULL, tar_fill, NULL) < ARCHIVE_WARN)
		r = tar_failed(&tar, err);
	while (r == 0) {
		got = archive_read_next_header(tar.archive, &member);
		if (got == ARCHIVE_EOF)
			break;
		/* A warning is about a value that could not be read, such as a name that is not
		 * UTF-8, and a guess is as bad as an error. */
		if (got != ARCHIVE_OK)
			r = tar_failed(&tar, err);
		else
			r = tar_add_member(&tar, member, err);
	}
	(void)archive_read_free(tar.archive);
	return r < 0 ? error_wrap(err, "failed to read %s", what) : 0;
}

ssize_t
tar_read_fd(int fd, void *bytes, size_t n, struct error *err)
{
	ssize_t got;

	/* read_full() would wait on, whatever the signal. */
	do {
		if (work_check(err) < 0)
			return -1;
		got = read(fd, bytes, n);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? error_sys(err, "failed to read") : got;
}

static la_ssize_t
tar_fill(struct archive *archive, void *data, const void **bytes)
{
	struct tar *tar = data;
	ssize_t n = work_check(tar->err) < 0 ? -1 : tar->input(tar->data, bytes, tar->err);

	if (n < 0) {
		tar->input_failed = true;
		archive_set_error(archive, EIO, "failed to read");
	}
	return n;
}

static int
tar_add_member(struct tar *tar, struct archive_entry *member, struct error *err)
{
	struct image *image = &tar->build->image;
	const char *name = archive_entry_pathname(member), *target;
	auto_free char *path = NULL, *linked = NULL;
	mode_t type = archive_entry_filetype(member);
	uint32_t perm = archive_entry_perm(member) & 07777;
	bool taken = false;
	int r;

	if (!name)
		return error_set(err, ERROR_INVALID_ARGUMENT, "member without a name");
	if (tar_clean_path(tar, name, &path, err) < 0)
		return -1;
	/* The root itself. */
	if (!*path)
		return 0;
	if (tar->is_layer && tar_take_whiteout(tar, path, &taken, err) < 0)
		return -1;
	if (taken)
		return 0;
	target = archive_entry_hardlink(member);
	if (target) {
		if (tar_clean_path(tar, target, &linked, err) < 0 ||
		    tar_make_room(tar, path, S_IFREG, err) < 0)
			return -1;
		return image_add_link(image, path, linked, err);
	}
	if (tar_make_room(tar, path, type, err) < 0)
		return -1;
	switch (type) {
	case AE_IFDIR:
		r = image_add_dir(image, path, perm, err);
		break;
	case AE_IFREG:
		r = tar_add_file(tar, member, path, perm, err);
		break;
	case AE_IFLNK:
		target = archive_entry_symlink(member);
		r = target ? image_add_symlink(image, path, target, err)
			   : error_set(err, ERROR_INVALID_ARGUMENT,
				       "symlink %.200s without a target", path);
		break;
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
	case AE_IFSOCK:
		r = image_add_node(image, path, type | perm,
				   (uint32_t)archive_entry_rdevmajor(member),
				   (uint32_t)archive_entry_rdevminor(member), err);
		break;
	default:
		return error_set(err, ERROR_INVALID_ARGUMENT, "%.200s: unknown type %o", path,
				 type);
	}
	if (r < 0)
		return -1;
	/* A directory that a symlink leads to keeps its owner and attributes. */
	if (type == AE_IFDIR) {
		const struct image_entry *entry = image_find(image, path);

		if (entry && S_ISLNK(entry->mode))
			return 0;
	}
	if (tar_set_owner(tar, member, path, err) < 0)
		return -1;
	return tar_set_xattrs(tar, member, path, err);
}

/* Drops leading slashes and "." components. The caller frees *out. */
static int
tar_clean_path(const struct tar *tar, const char *name, char **out, struct error *err)
{
	char *to = malloc(strlen(name) + 1);

	(void)tar;
	if (!to) {
		error_nomem(err, "reading an archive");
		return -1;
	}
	*out = to;
	while (*name) {
		size_t n = strcspn(name, "/");

		if (n == 2 && !memcmp(name, "..", 2))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%.200s: \"..\" in the path",
					 name);
		if (n && !(n == 1 && *name == '.')) {
			if (to != *out)
				*to++ = '/';
			memcpy(to, name, n);
			to += n;
		}
		name += n + strspn(name + n, "/");
	}
	*to = '\0';
	return 0;
}

/* Applies a whiteout, which is no member of the image itself. */
static int
tar_take_whiteout(struct tar *tar, const char *path, bool *taken, struct error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	auto_free char *hidden = NULL;

	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) != 0)
		return 0;
	*taken = true;
	hidden = strdup(path);
	if (!hidden)
		return error_nomem(err, "reading a whiteout");
	hidden[name - path] = '\0';
	if (!strcmp(name, WHITEOUT_OPAQUE))
		return image_remove(&tar->build->image, hidden, true, err);
	if (!strncmp(name, WHITEOUT_META, strlen(WHITEOUT_META)))
		return 0;
	name += strlen(WHITEOUT);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid whiteout %.200s", path);
	memcpy(hidden + strlen(hidden), name, strlen(name) + 1);
	return image_remove(&tar->build->image, hidden, false, err);
}

/* In a layer a member takes the place of one of another type. */
static int
tar_make_room(struct tar *tar, const char *path, mode_t type, struct error *err)
{
	const struct image_entry *old = tar->is_layer ? image_find(&tar->build->image, path) : NULL;

	if (!old || S_ISDIR(old->mode) == S_ISDIR(type))
		return 0;
	return image_remove(&tar->build->image, path, false, err);
}

static int
tar_add_file(struct tar *tar, struct archive_entry *member, const char *path, uint32_t perm,
	     struct error *err)
{
	struct build *build = tar->build;
	int64_t size = archive_entry_size(member);
	auto_free char *spool = NULL;
	auto_close int fd = -1;
	char name[40];

	if (size < 0 || size > FILE_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%.200s has %lld bytes, more than the 4 GiB of an archive member",
				 path, (long long)size);
	if (size <= SMALL_FILE && build->small_bytes + (uint64_t)size <= SMALL_MAX &&
	    !archive_entry_sparse_count(member)) {
		uint8_t bytes[SMALL_FILE];
		la_ssize_t n = archive_read_data(tar->archive, bytes, (size_t)size);

		if (n != size)
			return tar_failed(tar, err);
		build->small_bytes += (uint64_t)size;
		return image_add_data(&build->image, path, perm, bytes, (size_t)size, err);
	}
	(void)snprintf(name, sizeof(name), "spool.%llu", (unsigned long long)build->n_spooled++);
	spool = work_path(build->work, name, err);
	if (!spool)
		return -1;
	fd = open(spool, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "failed to create %s", spool);
	if (tar_copy_content(tar, fd, path, err) < 0)
		return -1;
	/* The end may be a hole. */
	if (ftruncate(fd, size) < 0)
		return error_sys(err, "failed to write %s", spool);
	return image_add_file(&build->image, path, perm, spool, err);
}

static int
tar_copy_content(struct tar *tar, int fd, const char *path, struct error *err)
{
	const void *bytes;
	la_int64_t at;
	size_t n;
	int got;

	while ((got = archive_read_data_block(tar->archive, &bytes, &n, &at)) == ARCHIVE_OK) {
		const uint8_t *p = bytes;

		if (at < 0 || at > FILE_MAX || n > (uint64_t)(FILE_MAX - at))
			return error_set(err, ERROR_DATA_LOSS, "%.200s: data after its end", path);
		while (n) {
			ssize_t part = RETRY_EINTR(pwrite(fd, p, n, at));

			if (part < 0)
				return error_sys(err, "failed to write the content of %.200s",
						 path);
			p += part;
			at += part;
			n -= (size_t)part;
		}
		if (work_check(err) < 0)
			return -1;
	}
	return got == ARCHIVE_EOF ? 0 : tar_failed(tar, err);
}

static int
tar_set_owner(struct tar *tar, struct archive_entry *member, const char *path, struct error *err)
{
	int64_t uid = archive_entry_uid(member), gid = archive_entry_gid(member);

	/* (uid_t)-1 stands for no change in chown(2). */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%.200s: invalid owner %lld:%lld",
				 path, (long long)uid, (long long)gid);
	return image_set_owner(&tar->build->image, path, (uint32_t)uid, (uint32_t)gid, err);
}

static int
tar_set_xattrs(struct tar *tar, struct archive_entry *member, const char *path, struct error *err)
{
	const char *name;
	const void *value;
	size_t n;

	(void)archive_entry_xattr_reset(member);
	while (archive_entry_xattr_next(member, &name, &value, &n) == ARCHIVE_OK) {
		if (name && image_set_xattr(&tar->build->image, path, name, value, n, err) < 0)
			return -1;
	}
	return 0;
}
