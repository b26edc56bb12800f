/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xfs: mkfs.xfs makes it from a prototype, which lists the entries with a number each as the owner.
 * By this number the inodes are found afterwards, and get what a prototype cannot express: the
 * owner, all permissions, the time, extended attributes, and targets of symlinks with spaces.
 * Format: Documentation/filesystems/xfs/ in the Linux tree, and its headers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/filesystem/crc32c.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE "xfsprogs"
#define MIB     ((uint64_t)1 << 20)
#define BLOCK   ((uint64_t)4096)
/* mkfs.xfs refuses a smaller one. */
#define SMALLEST (300 * MIB)
/* Factor up to which the size grows if mkfs.xfs runs out of space. */
#define SIZE_RETRY 8
#define LOG        (64 * MIB)
#define CHUNK      ((size_t)1 << 20)

/* Superblock: offsets, and a flag of its version. */
#define SUPER_SIZE     512
#define SUPER_UUID     32
#define SUPER_AGBLOCKS 84
#define SUPER_VERSION  100
#define SUPER_INOPBLOG 123
#define SUPER_AGBLKLOG 124
#define SUPER_CRC      224
#define VERSION_ATTR   0x10

/* Inode. */
#define INODE_SIZE       512
#define INODE_MODE       2
#define INODE_VERSION    4
#define INODE_FORMAT     5
#define INODE_UID        8
#define INODE_GID        12
#define INODE_TIMES      32
#define INODE_LENGTH     56
#define INODE_EXTENTS    76
#define INODE_FORK       82
#define INODE_ATTR       83
#define INODE_GENERATION 92
#define INODE_CRC        100
#define INODE_BIRTH      144
#define INODE_NUMBER     152
#define INODE_UUID       160
#define INODE_DATA       176
#define DATA_SIZE        ((size_t)(INODE_SIZE - INODE_DATA))
#define FORMAT_LOCAL     1
#define FORMAT_EXTENTS   2
#define EXTENT_SIZE      16
/* Seconds since 1901, as times are stored. */
#define TIME_OFFSET (UINT64_C(1) << 31)

/* Header of attributes in an inode, and of one of them. */
#define ATTRS_HEADER 4
#define ATTR_HEADER  3
#define ATTR_TRUSTED 2
#define ATTR_SECURE  4

/* The finished file system while its inodes are corrected. */
struct xfs {
	struct build *build;
	int fd;
	uint8_t super[SUPER_SIZE];
	size_t n_found;
	bool has_attrs;
};

static int xfs_make(struct build *build, const char *to, struct error *err);
static int xfs_format(const struct tool *tool, const char *to, uint64_t size, uint64_t limit,
		      struct error *err);
static uint64_t xfs_size(const struct build *build);
static int xfs_write_prototype(struct build *build, const char *path, struct error *err);
static int xfs_put_entry(struct build *build, FILE *file, size_t i, struct error *err);
static int xfs_correct(struct build *build, const char *path, struct error *err);
static int xfs_correct_chunk(struct xfs *xfs, uint8_t *bytes, size_t n, uint64_t at, bool *changed,
			     struct error *err);
static int xfs_correct_inode(struct xfs *xfs, uint8_t *inode, struct error *err);
static int xfs_put_attrs(struct xfs *xfs, uint8_t *inode, const struct image_entry *entry,
			 struct error *err);

const struct filesystem_kind filesystem_xfs = {
	.name = "xfs",
	.help = "writable; at least 300 MiB, which a file with holes does not occupy",
	.has_dax = true,
	.root_flags = "",
	.magic_offset = 0,
	.magic_len = 4,
	.magic = { 'X', 'F', 'S', 'B' },
	.packs = 1u << PACK_NONE,
	.default_pack = PACK_NONE,
	.make = xfs_make,
};

static uint64_t
xfs_get(const uint8_t *in, unsigned n)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | in[i];
	return value;
}

static void
xfs_put(uint8_t *out, uint64_t value, unsigned n)
{
	for (unsigned i = n; i-- > 0; value >>= 8)
		out[i] = (uint8_t)value;
}

/* Checksums alone are little-endian. */
static void
xfs_put_crc(uint8_t *out, uint32_t crc)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(~crc >> 8 * i);
}

static int
xfs_make(struct build *build, const char *to, struct error *err)
{
	uint64_t size = build->spec->size ? build->spec->size : xfs_size(build);
	auto_free char *prototype = work_path(build->work, "xfs.prototype", err);
	char uuid[37], checksums[80];
	/* Options whose defaults depend on the version or the host. DAX excludes shared extents. */
	const char *argv[] = { "mkfs.xfs",
			       "-q",
			       "-f",
			       "-L",
			       "tatami-root",
			       "-b",
			       "size=4096",
			       "-s",
			       "size=512",
			       "-d",
			       "noalign",
			       "-i",
			       "size=512,sparse=1,nrext64=0",
			       "-m",
			       checksums,
			       "-p",
			       prototype,
			       to,
			       NULL };
	const char *check_argv[] = { "xfs_repair", "-n", "-f", to, NULL };
	struct tool tool = { .argv = argv,
			     .package = PACKAGE,
			     .epoch = build->spec->epoch,
			     .dir = work_dir(build->work) };
	const struct tool check = { .argv = check_argv,
				    .package = PACKAGE,
				    .epoch = build->spec->epoch };

	if (!prototype || tool_need(argv[0], PACKAGE, err) < 0)
		return -1;
	if (size < SMALLEST)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "invalid size of %llu bytes: xfs needs 300 MiB",
				 (unsigned long long)size);
	build_uuid(build, "filesystem-uuid", uuid);
	(void)snprintf(checksums, sizeof(checksums), "crc=1,bigtime=1,reflink=0,rmapbt=0,uuid=%s",
		       uuid);
	if (xfs_write_prototype(build, prototype, err) < 0 ||
	    xfs_format(&tool, to, size, build->spec->size ? size : size * SIZE_RETRY, err) < 0 ||
	    filesystem_check_sources(build, err) < 0 || xfs_correct(build, to, err) < 0)
		return -1;
	report_step(build->report, "checking the file system");
	return tool_run(&check, err);
}

/* Runs mkfs.xfs on a file of this size. The program fills one allocation group before the others,
 * and may run out of space in it: then the size is doubled, up to a limit. */
static int
xfs_format(const struct tool *tool, const char *to, uint64_t size, uint64_t limit,
	   struct error *err)
{
	for (;; size *= 2) {
		auto_close int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
			return error_sys(err, "failed to create %s", to);
		if (tool_run(tool, err) == 0)
			return 0;
		/* The new file system is full, not the one that holds the file. */
		if (!strstr(err->msg, "[28 - No space left on device]"))
			return -1;
		if (size > limit / 2)
			return error_set(err, ERROR_RESOURCE_EXHAUSTED,
					 "%llu bytes are too few for the content",
					 (unsigned long long)size);
	}
}

static uint64_t
xfs_size(const struct build *build)
{
	uint64_t size = LOG + 8 * MIB + build->spec->free_space;

	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];

		size += INODE_SIZE + 64 + strlen(entry->path);
		if (!S_ISLNK(entry->mode) || entry->size > DATA_SIZE)
			size += filesystem_round(entry->size, BLOCK);
		if (S_ISDIR(entry->mode))
			size += BLOCK;
	}
	size = filesystem_round(size + size / 50, MIB);
	return size < SMALLEST ? SMALLEST : size;
}

static int
xfs_compare_paths(const void *a, const void *b, void *data)
{
	const struct image *image = data;
	const char *x = image->entries[*(const size_t *)a]->path;
	const char *y = image->entries[*(const size_t *)b]->path;

	while (*x && *x == *y)
		x++, y++;
	/* No other character of a path is less than a space. */
	return (*x == '/' ? 1 : (unsigned char)*x) - (*y == '/' ? 1 : (unsigned char)*y);
}

/* A directory is followed by what is in it, and that by "$". */
static int
xfs_write_prototype(struct build *build, const char *path, struct error *err)
{
	const struct image *image = &build->image;
	auto_free size_t *order = calloc(image->n + 1, sizeof(*order));
	FILE *file = order ? fopen(path, "we") : NULL;
	size_t open_dirs = 0;
	int r = 0;

	if (!order)
		return error_nomem(err, "making a file system");
	if (!file)
		return error_sys(err, "failed to create %s", path);
	for (size_t i = 0; i < image->n; i++)
		order[i] = i;
	qsort_r(order, image->n, sizeof(*order), xfs_compare_paths, (void *)image);
	(void)fputs("-\n0 0\nd--755 0 0\n", file);
	for (size_t i = 0; i < image->n && r == 0; i++) {
		const struct image_entry *entry = image->entries[order[i]];
		size_t depth = 0;

		for (const char *c = entry->path; *c; c++)
			depth += *c == '/';
		for (; open_dirs > depth; open_dirs--)
			(void)fputs("$\n", file);
		r = xfs_put_entry(build, file, order[i], err);
		open_dirs += S_ISDIR(entry->mode);
	}
	for (; open_dirs > 0; open_dirs--)
		(void)fputs("$\n", file);
	(void)fputs("$\n", file);
	if (fclose(file) != 0 && r == 0)
		r = error_sys(err, "failed to write %s", path);
	return r;
}

static int
xfs_put_content(struct build *build, FILE *file, size_t i, struct error *err)
{
	const struct image_entry *entry = build->image.entries[i];
	auto_free char *path = NULL, *source = NULL;
	char name[32];

	/* The prototype has no quotes, so a link without spaces stands for the source. */
	(void)snprintf(name, sizeof(name), "content.%zu", i);
	(void)fprintf(file, " %s\n", name);
	if (!entry->source) {
		path = filesystem_content_file(build, entry, i, err);
		return path ? 0 : -1;
	}
	path = work_path(build->work, name, err);
	if (!path)
		return -1;
	source = realpath(entry->source, NULL);
	if (!source || symlink(source, path) < 0)
		return error_sys(err, "failed to link %s", entry->source);
	return 0;
}

/* The owner is the number of the entry, counted from 1. */
static int
xfs_put_entry(struct build *build, FILE *file, size_t i, struct error *err)
{
	const struct image_entry *entry = build->image.entries[i];
	const char *slash = strrchr(entry->path, '/');
	const char *name = slash ? slash + 1 : entry->path;
	static const char letters[] = "?pc?d?b?-?l";
	unsigned type = (entry->mode & S_IFMT) >> 12;

	if (S_ISSOCK(entry->mode)) {
		report_warn(build->report, "/%s: a socket is not stored", entry->path);
		return 0;
	}
	if (strpbrk(name, " ") || name[0] == ':' || strcmp(name, "$") == 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"failed to add /%.200s: mkfs.xfs accepts no such name; use another "
			"file system",
			entry->path);
	(void)fprintf(file, "%s %c--%03o %zu 0", name, letters[type], entry->mode & 0777, i + 1);
	if (S_ISREG(entry->mode))
		return xfs_put_content(build, file, i, err);
	if (S_ISLNK(entry->mode)) {
		const char *target = (const char *)entry->data;

		/* mkfs.xfs 6.1 writes them without the header that the kernel expects. */
		if (entry->size > DATA_SIZE)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: target of a symlink too long for "
					 "xfs; use another file system",
					 entry->path);
		(void)putc(' ', file);
		for (const char *c = target; *c; c++)
			(void)putc(strchr(" \t\n", *c) ? '_' : *c, file);
	} else if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
		(void)fprintf(file, " %u %u", entry->dev_major, entry->dev_minor);
	}
	(void)putc('\n', file);
	return 0;
}

static int
xfs_correct(struct build *build, const char *path, struct error *err)
{
	struct xfs xfs = { .build = build };
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	auto_free uint8_t *bytes = malloc(CHUNK);
	size_t sockets = 0;
	off_t at = 0, end;

	if (!bytes)
		return error_nomem(err, "making a file system");
	if (fd < 0 || pread(fd, xfs.super, SUPER_SIZE, 0) != SUPER_SIZE)
		return error_sys(err, "failed to read the superblock");
	xfs.fd = fd;
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (at -= at % INODE_SIZE; at < end; at += (off_t)CHUNK) {
			ssize_t n = pread(fd, bytes, CHUNK, at);
			bool changed = false;

			if (n < 0)
				return error_sys(err, "failed to read the file system");
			if (work_check(err) < 0 ||
			    xfs_correct_chunk(&xfs, bytes, (size_t)n, (uint64_t)at, &changed, err) <
				    0)
				return -1;
			if (changed && pwrite(fd, bytes, (size_t)n, at) != n)
				return error_sys(err, "failed to write the file system");
		}
	}
	if (errno != ENXIO)
		return error_sys(err, "failed to read the file system");
	for (size_t i = 0; i < build->image.n; i++)
		sockets += S_ISSOCK(build->image.entries[i]->mode);
	if (xfs.n_found != build->image.n - sockets)
		return error_set(err, ERROR_DATA_LOSS, "mkfs.xfs made %zu inodes for %zu entries",
				 xfs.n_found, build->image.n - sockets);
	if (!xfs.has_attrs)
		return 0;
	/* The first read of an attribute does not look for it otherwise. */
	xfs_put(xfs.super + SUPER_VERSION, xfs_get(xfs.super + SUPER_VERSION, 2) | VERSION_ATTR, 2);
	memset(xfs.super + SUPER_CRC, 0, 4);
	xfs_put_crc(xfs.super + SUPER_CRC, crc32c(~UINT32_C(0), xfs.super, SUPER_SIZE));
	return pwrite(fd, xfs.super, SUPER_SIZE, 0) == SUPER_SIZE
		       ? 0
		       : error_sys(err, "failed to write the superblock");
}

/* Tells whether these bytes of the file system are an inode: its number is its place. */
static bool
xfs_is_inode(const struct xfs *xfs, const uint8_t *inode, uint64_t at)
{
	unsigned inopblog = xfs->super[SUPER_INOPBLOG], agblklog = xfs->super[SUPER_AGBLKLOG];
	uint64_t block = at / BLOCK, agblocks = xfs_get(xfs->super + SUPER_AGBLOCKS, 4);
	uint64_t number = (block / agblocks) << (agblklog + inopblog) |
			  (block % agblocks) << inopblog | at % BLOCK / INODE_SIZE;
	uint8_t copy[INODE_SIZE], crc[4];

	if (inode[0] != 'I' || inode[1] != 'N' || inode[INODE_VERSION] != 3 ||
	    xfs_get(inode + INODE_NUMBER, 8) != number ||
	    memcmp(inode + INODE_UUID, xfs->super + SUPER_UUID, 16) != 0)
		return false;
	memcpy(copy, inode, INODE_SIZE);
	memset(copy + INODE_CRC, 0, 4);
	xfs_put_crc(crc, crc32c(~UINT32_C(0), copy, INODE_SIZE));
	return memcmp(crc, inode + INODE_CRC, 4) == 0;
}

static int
xfs_correct_chunk(struct xfs *xfs, uint8_t *bytes, size_t n, uint64_t at, bool *changed,
		  struct error *err)
{
	for (size_t i = 0; i + INODE_SIZE <= n; i += INODE_SIZE) {
		uint8_t *inode = bytes + i;

		if (!xfs_is_inode(xfs, inode, at + i) || !xfs_get(inode + INODE_MODE, 2))
			continue;
		if (xfs_correct_inode(xfs, inode, err) < 0)
			return -1;
		memset(inode + INODE_CRC, 0, 4);
		xfs_put_crc(inode + INODE_CRC, crc32c(~UINT32_C(0), inode, INODE_SIZE));
		*changed = true;
	}
	return 0;
}

static int
xfs_correct_inode(struct xfs *xfs, uint8_t *inode, struct error *err)
{
	uint64_t time = (xfs->build->spec->epoch + TIME_OFFSET) * 1000000000;
	uint64_t number = xfs_get(inode + INODE_UID, 4);
	const struct image_entry *entry;

	for (unsigned i = 0; i < 3; i++)
		xfs_put(inode + INODE_TIMES + (size_t)i * 8, time, 8);
	xfs_put(inode + INODE_BIRTH, time, 8);
	xfs_put(inode + INODE_GENERATION, 0, 4);
	/* The root, and inodes that the file system has for itself. */
	if (number == 0)
		return 0;
	if (number > xfs->build->image.n)
		return error_set(err, ERROR_DATA_LOSS, "mkfs.xfs made an inode of no entry");
	entry = xfs->build->image.entries[number - 1];
	xfs->n_found++;
	xfs_put(inode + INODE_MODE, entry->mode, 2);
	xfs_put(inode + INODE_UID, entry->uid, 4);
	xfs_put(inode + INODE_GID, entry->gid, 4);
	if (S_ISLNK(entry->mode) && inode[INODE_FORMAT] == FORMAT_LOCAL)
		memcpy(inode + INODE_DATA, entry->data, entry->size);
	return entry->xattrs ? xfs_put_attrs(xfs, inode, entry, err) : 0;
}

/* Puts attributes into the inode, behind its data, where they begin at a multiple of 8 bytes. */
static int
xfs_put_attrs(struct xfs *xfs, uint8_t *inode, const struct image_entry *entry, struct error *err)
{
	size_t used, size = ATTRS_HEADER, fork;
	uint8_t *out, count = 0;

	if (inode[INODE_FORMAT] == FORMAT_EXTENTS)
		used = (size_t)xfs_get(inode + INODE_EXTENTS, 4) * EXTENT_SIZE;
	else if (S_ISREG(entry->mode))
		used = DATA_SIZE;
	else
		used = S_ISLNK(entry->mode) ? entry->size
					    : (size_t)xfs_get(inode + INODE_LENGTH, 8);
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next, count++) {
		const char *dot = strchr(x->name, '.');

		if (!strncmp(x->name, "system.", 7) || !dot || strlen(dot + 1) > UINT8_MAX ||
		    x->n > UINT8_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: its attribute %.100s cannot be "
					 "stored in xfs; use another file system",
					 entry->path, x->name);
		size += ATTR_HEADER + strlen(dot + 1) + x->n;
	}
	fork = (DATA_SIZE - filesystem_round(size, 8)) / 8;
	if (size > DATA_SIZE || used > fork * 8)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to add /%.200s: its attributes do not fit in an inode of "
				 "xfs; use another file system",
				 entry->path);
	xfs->has_attrs = true;
	inode[INODE_FORK] = (uint8_t)fork;
	inode[INODE_ATTR] = FORMAT_LOCAL;
	out = inode + INODE_DATA + fork * 8;
	xfs_put(out, size, 2);
	out[2] = count;
	out += ATTRS_HEADER;
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		const char *name = strchr(x->name, '.') + 1;

		out[0] = (uint8_t)strlen(name);
		out[1] = (uint8_t)x->n;
		out[2] = !strncmp(x->name, "security.", 9)  ? ATTR_SECURE
			 : !strncmp(x->name, "trusted.", 8) ? ATTR_TRUSTED
							    : 0;
		memcpy(out + ATTR_HEADER, name, out[0]);
		memcpy(out + ATTR_HEADER + out[0], x->value, x->n);
		out += ATTR_HEADER + out[0] + x->n;
	}
	return 0;
}
