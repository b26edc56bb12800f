/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/archive/cpio.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "rootfs-builder/image/content.h"

#define MAGIC "070701"
/* The format with checksums, which the kernel accepts, too. */
#define MAGIC_CRC     "070702"
#define TRAILER       "TRAILER!!!"
#define HEADER_LEN    ((size_t)110)
#define FIELDS        13
#define FIELD_LEN     ((size_t)8)
#define ARCHIVE_ALIGN ((size_t)512)
#define CHUNK         ((size_t)64 << 10)

/* The numeric fields of a header, in the order of the format. */
enum field {
	FIELD_INO,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_NLINK,
	FIELD_MTIME,
	FIELD_SIZE,
	/* Device of the file system that held the file: always 0. */
	FIELD_MAJOR,
	FIELD_MINOR,
	/* Number of a device node. */
	FIELD_DEV_MAJOR,
	FIELD_DEV_MINOR,
	/* Length of the name with its NUL. */
	FIELD_NAME_LEN,
	FIELD_CHECK,
};

struct writer {
	struct packer *packer;
	/* Bytes written so far. */
	uint64_t at;
};

/* The entry whose content is being written. */
struct content {
	struct writer *writer;
	struct image_entry *entry;
};

struct reader {
	struct unpacker *unpacker;
	const struct cpio_visitor *visitor;
	/* Bytes read so far. */
	uint64_t at;
	char name[PATH_MAX];
};

static int cpio_put_header(struct writer *w, const char *name, const uint32_t fields[FIELDS],
			   struct error *err);
static int cpio_put_entry(struct writer *w, struct image_entry *entry,
			  const struct cpio_member *member, struct error *err);
static int cpio_put_content(const uint8_t *bytes, size_t n, void *data, struct error *err);
static int cpio_next_header(struct reader *r, char *first, struct error *err);
static int cpio_get_all(struct reader *r, void *out, size_t n, struct error *err);
static int cpio_get_member(struct reader *r, char first, struct error *err);
static int cpio_parse_header(const char *header, uint32_t fields[FIELDS], uint64_t at,
			     struct error *err);

static int
cpio_put(struct writer *w, const void *data, size_t n, struct error *err)
{
	w->at += n;
	return packer_write(w->packer, data, n, err);
}

static int
cpio_put_padding(struct writer *w, size_t align, struct error *err)
{
	static const uint8_t zeros[ARCHIVE_ALIGN];

	return cpio_put(w, zeros, (align - w->at % align) % align, err);
}

int
cpio_write(struct image *image, uint32_t mtime, struct packer *packer, struct error *err)
{
	static const uint32_t end[FIELDS] = {
		[FIELD_NLINK] = 1,
		[FIELD_NAME_LEN] = sizeof(TRAILER),
	};
	struct writer w = { .packer = packer };
	auto_free struct image_links *links = NULL;

	image_sort(image);
	links = image_links(image, err);
	if (!links)
		return -1;
	for (size_t i = 0; i < image->n; i++) {
		const struct cpio_member member = cpio_describe(image, i, links, mtime);

		if (cpio_put_entry(&w, image->entries[i], &member, err) < 0)
			return -1;
	}
	if (cpio_put_header(&w, TRAILER, end, err) < 0)
		return -1;
	return cpio_put_padding(&w, ARCHIVE_ALIGN, err);
}

static int
cpio_put_header(struct writer *w, const char *name, const uint32_t fields[FIELDS],
		struct error *err)
{
	char header[HEADER_LEN + 1] = MAGIC;

	for (size_t i = 0; i < FIELDS; i++)
		(void)snprintf(header + strlen(MAGIC) + i * FIELD_LEN, FIELD_LEN + 1, "%08X",
			       fields[i]);
	if (cpio_put(w, header, HEADER_LEN, err) < 0 ||
	    cpio_put(w, name, strlen(name) + 1, err) < 0)
		return -1;
	return cpio_put_padding(w, 4, err);
}

struct cpio_member
cpio_describe(const struct image *image, size_t i, const struct image_links *links, uint32_t mtime)
{
	const struct image_entry *entry = image->entries[i];
	const struct image_links *group = &links[entry->link_group];
	struct cpio_member member = {
		.path = entry->path,
		.ino = (uint32_t)i + 1,
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.nlink = S_ISDIR(entry->mode) ? 2 : 1,
		.mtime = mtime,
		.dev_major = entry->dev_major,
		.dev_minor = entry->dev_minor,
		.size = entry->size,
	};

	/* The kernel links nothing but files with each other. */
	if (!S_ISREG(entry->mode) || group->n < 2)
		return member;
	member.ino = (uint32_t)group->first + 1;
	member.nlink = group->n;
	if (i != group->last)
		member.size = 0;
	return member;
}

static int
cpio_put_entry(struct writer *w, struct image_entry *entry, const struct cpio_member *member,
	       struct error *err)
{
	uint32_t fields[FIELDS] = {
		[FIELD_INO] = member->ino,
		[FIELD_MODE] = member->mode,
		[FIELD_UID] = member->uid,
		[FIELD_GID] = member->gid,
		[FIELD_NLINK] = member->nlink,
		[FIELD_MTIME] = member->mtime,
		/* Below 4 GiB: see image_add_file(). */
		[FIELD_SIZE] = (uint32_t)member->size,
		[FIELD_DEV_MAJOR] = member->dev_major,
		[FIELD_DEV_MINOR] = member->dev_minor,
		[FIELD_NAME_LEN] = (uint32_t)strlen(member->path) + 1,
	};
	struct content content = { w, entry };

	if (cpio_put_header(w, member->path, fields, err) < 0)
		return -1;
	entry->crc = (uint32_t)crc32(0, NULL, 0);
	if (member->size && content_read(entry, cpio_put_content, &content, err) < 0)
		return -1;
	return cpio_put_padding(w, 4, err);
}

static int
cpio_put_content(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct content *content = data;

	content->entry->crc = (uint32_t)crc32(content->entry->crc, bytes, (uInt)n);
	return cpio_put(content->writer, bytes, n, err);
}

/* Returns the attribute that a file misses most, or NULL. */
static const struct image_xattr *
cpio_worst_loss(const struct image_entry *entry)
{
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		if (!strcmp(x->name, "security.capability"))
			return x;
	}
	return entry->xattrs;
}

bool
cpio_describe_losses(const struct image *image, char *out, size_t size)
{
	const struct image_xattr *worst = NULL;
	const char *path = NULL;
	size_t n = 0;

	for (size_t i = 0; i < image->n; i++) {
		const struct image_xattr *loss = cpio_worst_loss(image->entries[i]);

		if (!loss)
			continue;
		n++;
		if (!worst || (!strcmp(loss->name, "security.capability") &&
			       strcmp(worst->name, "security.capability") != 0)) {
			worst = loss;
			path = image->entries[i]->path;
		}
	}
	if (!worst)
		return false;
	(void)snprintf(out, size,
		       "an initrd has no extended attributes, such as file capabilities: those of "
		       "%zu file%s were left out, of /%.200s (%.100s) for example",
		       n, n == 1 ? "" : "s", path, worst->name);
	return true;
}

int
cpio_read(struct unpacker *unpacker, const struct cpio_visitor *visitor, struct error *err)
{
	struct reader r = { .unpacker = unpacker, .visitor = visitor };
	unsigned archives = 0;
	char first;
	int got;

	while ((got = cpio_next_header(&r, &first, err)) > 0) {
		/* Padding is relative to the start of each archive. */
		r.at = 1;
		do {
			got = cpio_get_member(&r, first, err);
			if (got == 0)
				got = cpio_get_all(&r, &first, 1, err) < 0 ? -1 : 0;
		} while (got == 0);
		if (got < 0)
			return -1;
		archives++;
	}
	if (got < 0)
		return -1;
	if (!archives)
		return error_set(err, ERROR_DATA_LOSS, "failed to read the archive: empty");
	return 0;
}

/* Reads exactly n bytes, or fewer at the end of the stream. */
static ssize_t
cpio_get(struct reader *r, void *out, size_t n, struct error *err)
{
	size_t used = 0;
	ssize_t got = 1;

	while (used < n && got > 0) {
		got = unpacker_read(r->unpacker, (uint8_t *)out + used, n - used, err);
		if (got < 0)
			return -1;
		used += (size_t)got;
	}
	r->at += used;
	return (ssize_t)used;
}

/* Skips zeros. Returns 1 with the first byte of a header in *first, 0 at the end of the stream. */
static int
cpio_next_header(struct reader *r, char *first, struct error *err)
{
	ssize_t got;

	do {
		got = cpio_get(r, first, 1, err);
	} while (got == 1 && *first == '\0');
	return (int)got;
}

static int
cpio_get_all(struct reader *r, void *out, size_t n, struct error *err)
{
	ssize_t got = cpio_get(r, out, n, err);

	if (got < 0)
		return -1;
	if ((size_t)got < n)
		return error_set(err, ERROR_DATA_LOSS,
				 "failed to read the archive: unexpected end");
	return 0;
}

static int
cpio_skip_padding(struct reader *r, struct error *err)
{
	uint8_t bytes[4];

	return cpio_get_all(r, bytes, (4 - r->at % 4) % 4, err);
}

static int
cpio_get_content(struct reader *r, uint64_t left, struct error *err)
{
	uint8_t bytes[CHUNK];

	while (left) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		if (cpio_get_all(r, bytes, n, err) < 0)
			return -1;
		if (r->visitor->content && r->visitor->content(bytes, n, r->visitor->data, err) < 0)
			return -1;
		left -= n;
	}
	return cpio_skip_padding(r, err);
}

/* Reads the member whose header begins with `first`. Returns 1 at the end of the archive. */
static int
cpio_get_member(struct reader *r, char first, struct error *err)
{
	uint64_t at = r->at - 1;
	char header[HEADER_LEN] = { first };
	uint32_t fields[FIELDS] = { 0 };
	struct cpio_member member;
	size_t name_len;

	if (cpio_get_all(r, header + 1, HEADER_LEN - 1, err) < 0 ||
	    cpio_parse_header(header, fields, at, err) < 0)
		return -1;
	name_len = fields[FIELD_NAME_LEN];
	if (name_len == 0 || name_len > sizeof(r->name))
		return error_set(err, ERROR_DATA_LOSS,
				 "failed to read the archive: invalid name length %zu at byte %llu",
				 name_len, (unsigned long long)at);
	if (cpio_get_all(r, r->name, name_len, err) < 0 || cpio_skip_padding(r, err) < 0)
		return -1;
	if (strnlen(r->name, name_len) != name_len - 1)
		return error_set(
			err, ERROR_DATA_LOSS,
			"failed to read the archive: name and its length differ at byte %llu",
			(unsigned long long)at);
	if (!strcmp(r->name, TRAILER))
		return 1;
	member = (struct cpio_member){
		.path = r->name,
		.ino = fields[FIELD_INO],
		.mode = fields[FIELD_MODE],
		.uid = fields[FIELD_UID],
		.gid = fields[FIELD_GID],
		.nlink = fields[FIELD_NLINK],
		.mtime = fields[FIELD_MTIME],
		.dev_major = fields[FIELD_DEV_MAJOR],
		.dev_minor = fields[FIELD_DEV_MINOR],
		.size = fields[FIELD_SIZE],
	};
	if (r->visitor->member(&member, r->visitor->data, err) < 0)
		return -1;
	return cpio_get_content(r, member.size, err);
}

static int
cpio_parse_header(const char *header, uint32_t fields[FIELDS], uint64_t at, struct error *err)
{
	char text[FIELD_LEN + 1] = "";
	uint64_t value;

	if (memcmp(header, MAGIC, strlen(MAGIC)) != 0 &&
	    memcmp(header, MAGIC_CRC, strlen(MAGIC_CRC)) != 0)
		return error_set(err, ERROR_DATA_LOSS,
				 "failed to read the archive: no header at byte %llu",
				 (unsigned long long)at);
	for (size_t i = 0; i < FIELDS; i++) {
		memcpy(text, header + strlen(MAGIC) + i * FIELD_LEN, FIELD_LEN);
		if (!parse_hex(text, &value) || strspn(text, "0123456789abcdefABCDEF") != FIELD_LEN)
			return error_set(err, ERROR_DATA_LOSS,
					 "failed to read the archive: invalid header at byte %llu",
					 (unsigned long long)at);
		fields[i] = (uint32_t)value;
	}
	return 0;
}
