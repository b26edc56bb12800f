/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/archive/tarwrite.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "rootfs-builder/image/content.h"

/* An archive on its way to a packer. */
struct tar_sink {
	struct build *build;
	struct packer *packer;
	struct sha256_ctx *hash;
	struct archive *archive;
	struct image_entry *entry;
	/* Set by a callback, whose caller is the library. */
	struct error *err;
	bool has_failed;
};

static la_ssize_t sink_write(struct archive *archive, void *data, const void *bytes, size_t n);
static int sink_put_entry(struct tar_sink *sink, struct archive_entry *member,
			  const struct image_entry *first, struct error *err);
static int sink_take(const uint8_t *bytes, size_t n, void *data, struct error *err);

/* Returns the entry whose hard link this one is, or NULL. */
static const struct image_entry *
tar_first_link(const struct image *image, const struct image_links *links, size_t i)
{
	const struct image_links *group = &links[image->entries[i]->link_group];

	return group->n && group->first != i ? image->entries[group->first] : NULL;
}

static int
sink_failed(struct tar_sink *sink, struct error *err)
{
	const char *text = archive_error_string(sink->archive);

	if (sink->has_failed)
		return -1;
	return error_set(err, ERROR_INTERNAL, "failed to write the archive: %s",
			 text ? text : "unknown error");
}

int
tar_write(struct build *build, struct packer *packer, struct sha256_ctx *hash, struct error *err)
{
	auto_free struct image_links *links = image_links(&build->image, err);
	struct tar_sink sink = { .build = build, .packer = packer, .hash = hash, .err = err };
	struct archive_entry *member = archive_entry_new();
	int r = links ? 0 : -1;

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	sink.archive = archive_write_new();
	if (!sink.archive || !member) {
		r = error_nomem(err, "writing an archive");
		goto out;
	}
	(void)archive_write_set_format_pax_restricted(sink.archive);
	/* One header for an extended attribute, not two. */
	(void)archive_write_set_format_option(sink.archive, "pax", "xattrheader", "SCHILY");
	(void)archive_write_set_bytes_per_block(sink.archive, 64 << 10);
	(void)archive_write_set_bytes_in_last_block(sink.archive, 1);
	if (r == 0 && archive_write_open(sink.archive, &sink, NULL, sink_write, NULL) != ARCHIVE_OK)
		r = sink_failed(&sink, err);
	for (size_t i = 0; r == 0 && i < build->image.n; i++) {
		sink.entry = build->image.entries[i];
		r = sink_put_entry(&sink, member, tar_first_link(&build->image, links, i), err);
		report_progress(build->report, i, build->image.n);
	}
	if (r == 0 && archive_write_close(sink.archive) != ARCHIVE_OK)
		r = sink_failed(&sink, err);
out:
	archive_entry_free(member);
	(void)archive_write_free(sink.archive);
	return r;
}

static la_ssize_t
sink_write(struct archive *archive, void *data, const void *bytes, size_t n)
{
	struct tar_sink *sink = data;

	sha256_update(sink->hash, n, bytes);
	/* The archive is closed once more after a failure. */
	if (!sink->has_failed && packer_write(sink->packer, bytes, n, sink->err) == 0)
		return (la_ssize_t)n;
	sink->has_failed = true;
	archive_set_error(archive, EIO, "failed to write");
	return -1;
}

static int
sink_put_entry(struct tar_sink *sink, struct archive_entry *member, const struct image_entry *first,
	       struct error *err)
{
	struct image_entry *entry = sink->entry;
	bool is_link = first != NULL;
	int r;

	if (work_check(err) < 0)
		return -1;
	archive_entry_clear(member);
	archive_entry_set_pathname(member, entry->path);
	archive_entry_set_mode(member, entry->mode);
	archive_entry_set_uid(member, entry->uid);
	archive_entry_set_gid(member, entry->gid);
	archive_entry_set_mtime(member, sink->build->spec->epoch, 0);
	archive_entry_set_size(member, 0);
	entry->crc = (uint32_t)crc32(0, NULL, 0);
	if (is_link) {
		archive_entry_set_hardlink(member, first->path);
		entry->crc = first->crc;
	} else if (S_ISLNK(entry->mode)) {
		archive_entry_set_symlink(member, (const char *)entry->data);
	} else if (S_ISREG(entry->mode)) {
		archive_entry_set_size(member, (la_int64_t)entry->size);
	} else if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
		archive_entry_set_rdevmajor(member, entry->dev_major);
		archive_entry_set_rdevminor(member, entry->dev_minor);
	}
	for (const struct image_xattr *x = entry->xattrs; x && !is_link; x = x->next)
		archive_entry_xattr_add_entry(member, x->name, x->value, x->n);
	r = archive_write_header(sink->archive, member);
	/* A name that is not UTF-8 gets a warning, and is written as it is. */
	if (r < ARCHIVE_WARN)
		return sink_failed(sink, err);
	if (is_link || !S_ISREG(entry->mode))
		return 0;
	return content_read(entry, sink_take, sink, err);
}

static int
sink_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct tar_sink *sink = data;

	sink->entry->crc = (uint32_t)crc32(sink->entry->crc, bytes, (uInt)n);
	if (archive_write_data(sink->archive, bytes, n) != (la_ssize_t)n)
		return sink_failed(sink, err);
	return work_check(err);
}

static int
tar_differs(struct error *err, const char *path, const char *what)
{
	return error_set(err, ERROR_DATA_LOSS, "failed to verify the archive: /%.200s: wrong %s",
			 path, what);
}

static int
tar_verify_entry(struct archive *archive, struct archive_entry *member,
		 const struct image_entry *entry, const struct image_entry *first,
		 struct error *err)
{
	const char *name = archive_entry_pathname(member);
	size_t n = strlen(entry->path);
	uint32_t crc = (uint32_t)crc32(0, NULL, 0);
	const void *bytes;
	size_t len;
	la_int64_t at;
	int r;

	/* A directory ends with a slash. */
	if (!name || strncmp(name, entry->path, n) != 0 ||
	    strcmp(name + n, S_ISDIR(entry->mode) ? "/" : "") != 0)
		return tar_differs(err, entry->path, "name");
	if (archive_entry_uid(member) != entry->uid || archive_entry_gid(member) != entry->gid)
		return tar_differs(err, entry->path, "owner");
	if (first)
		return archive_entry_hardlink(member) &&
				       !strcmp(archive_entry_hardlink(member), first->path)
			       ? 0
			       : tar_differs(err, entry->path, "link");
	if (archive_entry_mode(member) != entry->mode)
		return tar_differs(err, entry->path, "mode");
	if (S_ISLNK(entry->mode))
		return archive_entry_symlink(member) &&
				       !strcmp(archive_entry_symlink(member), (char *)entry->data)
			       ? 0
			       : tar_differs(err, entry->path, "target");
	if (!S_ISREG(entry->mode))
		return 0;
	while ((r = archive_read_data_block(archive, &bytes, &len, &at)) == ARCHIVE_OK)
		crc = (uint32_t)crc32(crc, bytes, (uInt)len);
	if (r != ARCHIVE_EOF || crc != entry->crc ||
	    archive_entry_size(member) != (la_int64_t)entry->size)
		return tar_differs(err, entry->path, "content");
	return work_check(err);
}

int
tar_write_file(struct build *build, const char *path, enum pack_format format,
	       struct sha256_ctx *hash, struct error *err)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct sha256_ctx own;
	struct packer *packer;
	int r;

	if (fd < 0)
		return error_sys(err, "failed to create the archive");
	packer = packer_new(fd, format, err);
	if (!packer)
		return -1;
	hash = hash ? hash : &own;
	sha256_init(hash);
	r = tar_write(build, packer, hash, err);
	if (r == 0)
		r = packer_finish(packer, NULL, NULL, err);
	packer_free(packer);
	return r;
}

int
tar_verify(struct build *build, const char *path, struct error *err)
{
	auto_free struct image_links *links = image_links(&build->image, err);
	struct archive *archive = archive_read_new();
	struct archive_entry *member;
	int r = 0, got = ARCHIVE_OK;
	size_t i = 0;

	if (!links || !archive) {
		error_nomem(err, "verifying an archive");
		(void)archive_read_free(archive);
		return -1;
	}
	(void)archive_read_support_filter_all(archive);
	(void)archive_read_support_format_tar(archive);
	got = archive_read_open_filename(archive, path, 64 << 10);
	while (r == 0 && got >= ARCHIVE_WARN) {
		got = archive_read_next_header(archive, &member);
		if (got == ARCHIVE_EOF)
			break;
		if (got < ARCHIVE_WARN)
			continue;
		if (i == build->image.n)
			r = error_set(err, ERROR_DATA_LOSS,
				      "failed to verify the archive: too many members");
		else
			r = tar_verify_entry(archive, member, build->image.entries[i],
					     tar_first_link(&build->image, links, i), err);
		i++;
	}
	if (r == 0 && got < ARCHIVE_WARN)
		r = error_set(err, ERROR_DATA_LOSS, "failed to verify the archive: %s",
			      archive_error_string(archive));
	if (r == 0 && i != build->image.n)
		r = tar_differs(err, build->image.entries[i]->path, "end before it");
	(void)archive_read_free(archive);
	return r;
}
