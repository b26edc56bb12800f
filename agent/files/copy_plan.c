/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of a call's part, and the order that follows from it. Pure: touches no file. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/files/files_internal.h"

/* mode of missing parents if the request has none */
#define DIR_MODE 0750

static int copy_path(const struct copy_part *p, char out[PATH_MAX], struct error *err);
static int copy_check_type(const struct copy_part *p, struct error *err);
static int copy_order_write(struct target *t, const struct copy_part *p, struct copy_order *o,
			    struct error *err);

/* ---- checks ---- */

int
copy_check(const struct copy_part *p, char path[PATH_MAX], struct error *err)
{
	if (copy_path(p, path, err) < 0 || copy_check_type(p, err) < 0)
		return -1;
	if (p->uid < -1 || p->gid < -1)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid owner %d:%d", (int)p->uid,
				 (int)p->gid);
	if (p->len > COPY_DATA_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%zu bytes in one call, at most %u",
				 p->len, COPY_DATA_MAX);
	return 0;
}

/* Copies the path below the shared directory, with "//" as "/" and without a directory's trailing
 * "/". */
static int
copy_path(const struct copy_part *p, char out[PATH_MAX], struct error *err)
{
	const char *from = p->path;
	size_t len = 0;

	if (strncmp(from, COPY_DIR, sizeof(COPY_DIR) - 1) != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "the path is not below " COPY_DIR);
	for (from += sizeof(COPY_DIR) - 1; *from; from += strspn(from, "/")) {
		size_t n = strcspn(from, "/");

		if ((n == 1 && from[0] == '.') || (n == 2 && from[0] == '.' && from[1] == '.'))
			return error_set(err, ERROR_INVALID_ARGUMENT, "the path contains . or ..");
		if (n > NAME_MAX || len + n + sizeof(COPY_DIR) + 1 > PATH_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT, "the path is too long");
		if (n > 0 && len > 0)
			out[len++] = '/';
		memcpy(out + len, from, n);
		len += n;
		from += n;
		if (*from && !from[strspn(from, "/")] && !S_ISDIR(p->file_mode))
			return error_set(err, ERROR_INVALID_ARGUMENT, "the path ends in /");
	}
	out[len] = '\0';
	return len > 0 ? 0
		       : error_set(err, ERROR_INVALID_ARGUMENT, "the path is " COPY_DIR " itself");
}

static int
copy_check_type(const struct copy_part *p, struct error *err)
{
	switch (p->file_mode & S_IFMT) {
	case S_IFDIR:
		return 0;
	case S_IFLNK:
		if (p->len == 0 || p->len >= PATH_MAX || memchr(p->data, '\0', p->len))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid symlink target: %zu bytes long, or contains NUL",
					 p->len);
		if (p->offset != 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid offset: a symlink has only one part");
		return 0;
	case S_IFREG:
		if (p->file_size < 0 || p->offset < 0 ||
		    (uint64_t)p->offset > (uint64_t)p->file_size ||
		    p->len > (uint64_t)p->file_size - (uint64_t)p->offset)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"invalid range: %zu bytes at offset %lld of a file of %lld "
				"bytes",
				p->len, (long long)p->offset, (long long)p->file_size);
		return 0;
	default:
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid mode %o: not a file, a directory or a symlink",
				 p->file_mode);
	}
}

/* ---- orders ---- */

int
copy_next_order(struct target *t, struct copy_order *o, struct error *err)
{
	const struct copy_part *p = &list_entry(t->parts.next, struct copy, node)->part;

	copy_make_order(t, p, o);
	if (S_ISREG(p->file_mode)) {
		if (copy_order_write(t, p, o, err) == 0)
			return 0;
		return error_wrap(err, "failed to copy to " COPY_DIR "%s", t->path);
	}
	/* the worker removes the temporary file of an unfinished copy first */
	copy_set_unfinished(t, false);
	o->act = S_ISDIR(p->file_mode) ? COPY_MAKE_DIR : COPY_MAKE_LINK;
	o->len = S_ISDIR(p->file_mode) ? 0 : p->len;
	return 0;
}

void
copy_make_order(const struct target *t, const struct copy_part *p, struct copy_order *o)
{
	*o = (struct copy_order){
		.mode = p->file_mode & 07777,
		.dir_mode = p->dir_mode & 0777 ? p->dir_mode & 0777 : DIR_MODE,
		.uid = (uint32_t)p->uid,
		.gid = (uint32_t)p->gid,
		.dev = t->dev,
		.ino = t->ino,
		.made = t->made,
	};
	memcpy(o->temp, t->temp, sizeof(o->temp));
	memcpy(o->path, t->path, strlen(t->path) + 1);
}

/* Makes the order for a part of a regular file: whether it begins or completes the file. */
static int
copy_order_write(struct target *t, const struct copy_part *p, struct copy_order *o,
		 struct error *err)
{
	uint64_t from = (uint64_t)p->offset, to = from + p->len;

	o->act = COPY_WRITE;
	o->offset = from;
	o->len = p->len;
	if (from == 0 && (!t->is_unfinished || t->file_size != (uint64_t)p->file_size || to == 0 ||
			  extents_overlap(&t->there, 0, to))) {
		o->first = true;
		copy_set_unfinished(t, false);
		copy_set_unfinished(t, true);
		t->file_size = (uint64_t)p->file_size;
	}
	if (!t->is_unfinished)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "part at offset %llu belongs to no copy: start at offset 0",
				 (unsigned long long)from);
	if (t->file_size != (uint64_t)p->file_size)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "file size changed from %llu to %lld: start again at offset 0",
				 (unsigned long long)t->file_size, (long long)p->file_size);
	if (!extents_add(&t->there, from, to))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d separate ranges",
				 EXTENTS_MAX);
	o->last = extents_cover(&t->there, t->file_size);
	return 0;
}

void
copy_set_unfinished(struct target *t, bool is_unfinished)
{
	t->is_unfinished = is_unfinished;
	if (!is_unfinished)
		t->there = (struct extents){ 0 };
}
