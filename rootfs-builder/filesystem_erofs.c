/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs, written directly: mkfs.erofs takes owners, device nodes and extended attributes from a
 * directory only, in which an ordinary user cannot make them (and from a tar since version 1.7).
 * fsck.erofs checks the result.
 *
 *   block 0     superblock at byte 1024
 *   then        content of files in whole blocks; a compressed block has up to 256 KiB of content
 *   then        inodes, each followed by its attributes and the rest of its content that is not a
 *               whole block ("inline"), or by the index of its compressed blocks
 *
 * Content comes first, because the number of its blocks decides how an inode describes it.
 * Format: Documentation/filesystems/erofs.rst in the Linux tree, and its header.
 */
#include <errno.h>
#include <fcntl.h>
#include <lz4hc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/content.h"
#include "rootfs-builder/crc32c.h"
#include "rootfs-builder/filesystem.h"
#include "rootfs-builder/tool.h"

#define PACKAGE "erofs-utils"
#define BLOCK   ((size_t)4096)
/* Number of an inode: its offset in units of this many bytes. */
#define SLOT ((size_t)32)

#define SUPER_AT          1024
#define SUPER_SIZE        128
#define MAGIC             0xe0f5e1e2u
#define COMPAT_CHECKSUM   1
#define INCOMPAT_ZEROPADS 1

/* Short form of an inode, without a time and with owners of 16 bits, and the long one. */
#define COMPACT_SIZE  ((size_t)32)
#define EXTENDED_SIZE ((size_t)64)

enum erofs_data {
	DATA_PLAIN = 0,
	/* With an index of 8 bytes for each block of content. */
	DATA_COMPRESSED = 1,
	DATA_INLINE = 2,
};

/* Kinds of an index entry: content that is stored as it is, compressed content, and content that
 * belongs to a compressed block that began earlier. */
enum erofs_cluster {
	CLUSTER_PLAIN = 0,
	CLUSTER_HEAD = 1,
	CLUSTER_NONHEAD = 2,
};
#define INDEX_SIZE ((size_t)8)
/* Alignment of what precedes an index, and its header with padding. */
#define INDEX_ALIGN  ((size_t)8)
#define INDEX_HEADER ((size_t)16)
/* Content of one compressed block at most, and content that is read ahead. */
#define EXTENT_MAX ((size_t)256 << 10)
#define WINDOW     ((size_t)1 << 20)
#define LZ4_LEVEL  9

#define XATTR_HEADER ((size_t)12)
#define XATTR_ENTRY  ((size_t)4)

#define DIRENT ((size_t)12)

/* An entry of the image, or the root. */
struct erofs_inode {
	const struct image_entry *entry;
	/* Index of the parent; the root is 0 and its own parent. */
	size_t parent;
	/* The inode of this entry: another one for a hard link that is not the first. */
	struct erofs_inode *same;
	uint32_t nlink;
	enum erofs_data data;
	uint64_t size;
	/* First block of the content, or number of compressed blocks. */
	uint32_t block;
	/* Content after the whole blocks, or the index. */
	uint8_t *tail;
	size_t tail_len;
	size_t xattr_size;
	uint64_t nid;
	/* Entries of a directory: children[first .. first + n). */
	size_t first_child, n_children;
};

struct erofs {
	struct build *build;
	int fd;
	bool compress;
	struct erofs_inode *inodes;
	size_t n_inodes;
	/* Inodes sorted by parent and name. */
	size_t *children;
	/* Next free block. */
	uint32_t next_block;
	/* Content of the current file that has not been written. */
	uint8_t *window;
	size_t window_start, window_len;
	/* The current file's place in its index: offset in the block of content. */
	struct erofs_inode *current;
	size_t cluster_offset;
	void *lz4;
	/* Metadata. */
	uint8_t *meta;
	size_t meta_len, meta_size;
};

static int erofs_make(struct build *build, const char *to, struct error *err);
static int erofs_write(struct erofs *fs, struct error *err);
static int erofs_add_inodes(struct erofs *fs, struct error *err);
static int erofs_write_file(struct erofs *fs, struct erofs_inode *inode, struct error *err);
static int erofs_write_plain(struct erofs *fs, struct erofs_inode *inode, struct error *err);
static int erofs_write_compressed(struct erofs *fs, struct erofs_inode *inode, struct error *err);
static int erofs_compress_window(struct erofs *fs, bool last, struct error *err);
static void erofs_put_index(struct erofs *fs, bool plain, size_t count, uint32_t block);
static int erofs_place(struct erofs *fs, struct error *err);
static int erofs_fill_dir(struct erofs *fs, struct erofs_inode *inode, bool write,
			  struct error *err);
static int erofs_put_inode(struct erofs *fs, const struct erofs_inode *inode, struct error *err);
static int erofs_put_super(struct erofs *fs, uint32_t meta_block, struct error *err);

const struct filesystem_kind filesystem_erofs = {
	.name = "erofs",
	.help = "read-only, small and fast",
	.read_only = true,
	.has_dax = true,
	.root_flags = "",
	.magic_offset = SUPER_AT,
	.magic_len = 4,
	.magic = { 0xe2, 0xe1, 0xf5, 0xe0 },
	.packs = 1u << PACK_NONE | 1u << PACK_LZ4,
	.default_pack = PACK_NONE,
	.make = erofs_make,
};

static void
erofs_put(uint8_t *out, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

static int
erofs_make(struct build *build, const char *to, struct error *err)
{
	const char *check[] = { "fsck.erofs", "--extract", to, NULL };
	const struct tool fsck = { .argv = check, .package = PACKAGE, .epoch = build->spec->epoch };
	struct erofs fs = { .build = build, .fd = -1, .next_block = 1 };
	int r;

	if (tool_need(check[0], PACKAGE, err) < 0)
		return -1;
	fs.compress = filesystem_pack(build) == PACK_LZ4;
	fs.fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fs.fd < 0)
		return error_sys(err, "failed to create %s", to);
	r = erofs_write(&fs, err);
	(void)close(fs.fd);
	for (size_t i = 0; i < fs.n_inodes; i++)
		free(fs.inodes[i].tail);
	free(fs.inodes);
	free(fs.children);
	free(fs.window);
	free(fs.lz4);
	free(fs.meta);
	if (r < 0)
		return -1;
	report_step(build->report, "checking the file system");
	return tool_run(&fsck, err) < 0 ? -1 : filesystem_resize(build, to, err);
}

static int
erofs_write(struct erofs *fs, struct error *err)
{
	uint32_t meta_block;

	if (erofs_add_inodes(fs, err) < 0)
		return -1;
	if (fs->compress) {
		fs->window = malloc(WINDOW);
		fs->lz4 = malloc((size_t)LZ4_sizeofStateHC());
		if (!fs->window || !fs->lz4)
			return error_nomem(err, "compressing a file system");
	}
	for (size_t i = 0; i < fs->n_inodes; i++) {
		if (fs->inodes[i].same != &fs->inodes[i])
			continue;
		if (work_check(err) < 0 || erofs_write_file(fs, &fs->inodes[i], err) < 0)
			return -1;
		report_progress(fs->build->report, i, fs->n_inodes);
	}
	/* Sizes of directories, without the numbers of their entries. */
	for (size_t i = 0; i < fs->n_inodes; i++) {
		if (S_ISDIR(fs->inodes[i].entry->mode) &&
		    erofs_fill_dir(fs, &fs->inodes[i], false, err) < 0)
			return -1;
	}
	meta_block = fs->next_block;
	if (erofs_place(fs, err) < 0)
		return -1;
	for (size_t i = 0; i < fs->n_inodes; i++) {
		if (fs->inodes[i].same != &fs->inodes[i])
			continue;
		if ((S_ISDIR(fs->inodes[i].entry->mode) &&
		     erofs_fill_dir(fs, &fs->inodes[i], true, err) < 0) ||
		    erofs_put_inode(fs, &fs->inodes[i], err) < 0)
			return -1;
	}
	if (pwrite(fs->fd, fs->meta, fs->meta_len, (off_t)(meta_block * BLOCK)) !=
	    (ssize_t)fs->meta_len)
		return error_sys(err, "failed to write the file system");
	fs->next_block += (uint32_t)(fs->meta_len / BLOCK);
	return erofs_put_super(fs, meta_block, err);
}

static const char *
erofs_name(const struct image_entry *entry)
{
	const char *slash = strrchr(entry->path, '/');

	return slash ? slash + 1 : entry->path;
}

static int
erofs_compare_children(const void *a, const void *b, void *data)
{
	const struct erofs *fs = data;
	const struct erofs_inode *x = &fs->inodes[*(const size_t *)a];
	const struct erofs_inode *y = &fs->inodes[*(const size_t *)b];

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return strcmp(erofs_name(x->entry), erofs_name(y->entry));
}

/* Stores the index of an attribute's prefix and the rest of its name. Returns false if the format
 * cannot express it. */
static bool
erofs_xattr_name(const char *name, uint8_t *prefix, const char **rest)
{
	static const struct {
		const char *prefix;
		uint8_t number;
	} rows[] = {
		{ "user.", 1 },
		{ "system.posix_acl_access", 2 },
		{ "system.posix_acl_default", 3 },
		{ "trusted.", 4 },
		{ "security.", 6 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].prefix);

		if (strncmp(name, rows[i].prefix, len) != 0)
			continue;
		*prefix = rows[i].number;
		*rest = name + len;
		return strlen(*rest) <= UINT8_MAX;
	}
	return false;
}

static int
erofs_measure_xattrs(struct erofs_inode *inode, struct error *err)
{
	for (const struct image_xattr *x = inode->entry->xattrs; x; x = x->next) {
		const char *rest;
		uint8_t prefix;

		if (!erofs_xattr_name(x->name, &prefix, &rest) || x->n > UINT16_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: erofs has no place for its "
					 "attribute %.100s",
					 inode->entry->path, x->name);
		if (!inode->xattr_size)
			inode->xattr_size = XATTR_HEADER;
		inode->xattr_size += filesystem_round(XATTR_ENTRY + strlen(rest) + x->n, 4);
	}
	return 0;
}

static int
erofs_compare_parent(const void *key, const void *item)
{
	const struct image_entry *const *entry = item, *path = key;

	/* The key is the first `size` bytes of a path. */
	int order = strncmp(path->path, (*entry)->path, path->size);

	return order ? order : -(int)(strlen((*entry)->path) > path->size);
}

/* Returns the index of the inode of the directory that holds a path. */
static size_t
erofs_find_parent(const struct image *image, const char *path)
{
	const char *slash = strrchr(path, '/');
	const struct image_entry key = { .path = (char *)path,
					 .size = slash ? (uint64_t)(slash - path) : 0 };
	struct image_entry *const *found =
		slash ? bsearch(&key, image->entries, image->n, sizeof(struct image_entry *),
				erofs_compare_parent)
		      : NULL;

	return found ? (size_t)(found - image->entries) + 1 : 0;
}

/* Makes a list of inodes, in the order of the image, and of the entries of each directory. */
static int
erofs_add_inodes(struct erofs *fs, struct error *err)
{
	static const struct image_entry root = { .path = (char *)"", .mode = S_IFDIR | 0755 };
	const struct image *image = &fs->build->image;
	auto_free size_t *first = calloc(image->n_link_groups + (size_t)1, sizeof(*first));

	fs->inodes = calloc(image->n + 1, sizeof(*fs->inodes));
	fs->children = calloc(image->n + 1, sizeof(*fs->children));
	if (!fs->inodes || !fs->children || !first)
		return error_nomem(err, "making a file system");
	fs->inodes[0].same = &fs->inodes[0];
	fs->n_inodes = image->n + 1;
	fs->inodes[0].entry = &root;
	fs->inodes[0].nlink = 2;
	for (size_t i = 1; i < fs->n_inodes; i++) {
		struct erofs_inode *inode = &fs->inodes[i];
		size_t parent = erofs_find_parent(image, image->entries[i - 1]->path);

		inode->entry = image->entries[i - 1];
		inode->size = inode->entry->size;
		inode->nlink = S_ISDIR(inode->entry->mode) ? 2 : 1;
		inode->same = inode;
		if (inode->entry->link_group && first[inode->entry->link_group]) {
			inode->same = &fs->inodes[first[inode->entry->link_group]];
			inode->same->nlink++;
		} else if (inode->entry->link_group) {
			first[inode->entry->link_group] = i;
		}
		if (erofs_measure_xattrs(inode, err) < 0)
			return -1;
		inode->parent = parent;
		if (S_ISDIR(inode->entry->mode))
			fs->inodes[parent].nlink++;
		fs->inodes[parent].n_children++;
		fs->children[i] = i;
	}
	qsort_r(fs->children + 1, image->n, sizeof(*fs->children), erofs_compare_children, fs);
	for (size_t i = 1, start = 1; i < fs->n_inodes; i++) {
		struct erofs_inode *parent = &fs->inodes[fs->inodes[fs->children[i]].parent];

		if (i == 1 ||
		    fs->inodes[fs->children[i]].parent != fs->inodes[fs->children[i - 1]].parent)
			start = i;
		parent->first_child = start;
	}
	return 0;
}

static int
erofs_write_file(struct erofs *fs, struct erofs_inode *inode, struct error *err)
{
	uint32_t start = fs->next_block;

	inode->data = DATA_PLAIN;
	if (S_ISLNK(inode->entry->mode))
		return erofs_write_plain(fs, inode, err);
	if (!S_ISREG(inode->entry->mode) || !inode->size)
		return 0;
	if (!fs->compress || inode->size <= BLOCK)
		return erofs_write_plain(fs, inode, err);
	if (erofs_write_compressed(fs, inode, err) < 0)
		return -1;
	if (inode->block < (inode->size + BLOCK - 1) / BLOCK)
		return 0;
	/* It saves no block. */
	free(inode->tail);
	inode->tail = NULL;
	inode->tail_len = 0;
	fs->next_block = start;
	return erofs_write_plain(fs, inode, err);
}

static int
erofs_write_blocks(struct erofs *fs, const uint8_t *bytes, size_t n, struct error *err)
{
	if (pwrite(fs->fd, bytes, n, (off_t)(fs->next_block * BLOCK)) != (ssize_t)n)
		return error_sys(err, "failed to write the file system");
	if (fs->next_block > UINT32_MAX - n / BLOCK - 1)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "the file system exceeds 16 TiB");
	fs->next_block += (uint32_t)(n / BLOCK);
	return 0;
}

static int
erofs_take_plain(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct erofs *fs = data;
	size_t whole = n - n % BLOCK;

	/* Parts are multiples of a block, except for the last one. */
	if (whole && erofs_write_blocks(fs, bytes, whole, err) < 0)
		return -1;
	if (n == whole)
		return 0;
	fs->current->tail = malloc(BLOCK);
	if (!fs->current->tail)
		return error_nomem(err, "making a file system");
	memset(fs->current->tail, 0, BLOCK);
	memcpy(fs->current->tail, bytes + whole, n - whole);
	fs->current->tail_len = n - whole;
	return 0;
}

static size_t
erofs_inode_size(const struct erofs_inode *inode)
{
	const struct image_entry *entry = inode->entry;

	return entry->uid > UINT16_MAX || entry->gid > UINT16_MAX || inode->nlink > UINT16_MAX ||
			       inode->size > UINT32_MAX
		       ? EXTENDED_SIZE
		       : COMPACT_SIZE;
}

/* Decides whether the rest of the content lies behind the inode, in the same block, or gets a block
 * of its own: the kernel maps only whole blocks with DAX. */
static bool
erofs_tail_is_inline(const struct erofs *fs, const struct erofs_inode *inode)
{
	if (fs->build->spec->dax && S_ISREG(inode->entry->mode) && inode->size > BLOCK)
		return false;
	return erofs_inode_size(inode) + inode->xattr_size + inode->tail_len <= BLOCK;
}

static int
erofs_write_plain(struct erofs *fs, struct erofs_inode *inode, struct error *err)
{
	fs->current = inode;
	inode->data = DATA_PLAIN;
	inode->block = fs->next_block;
	if (content_read(inode->entry, erofs_take_plain, fs, err) < 0)
		return -1;
	if (!inode->tail)
		return 0;
	if (erofs_tail_is_inline(fs, inode)) {
		inode->data = DATA_INLINE;
		return 0;
	}
	if (erofs_write_blocks(fs, inode->tail, BLOCK, err) < 0)
		return -1;
	free(inode->tail);
	inode->tail = NULL;
	inode->tail_len = 0;
	return 0;
}

static int
erofs_take_compressed(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct erofs *fs = data;

	if (fs->window_start + fs->window_len + n > WINDOW) {
		memmove(fs->window, fs->window + fs->window_start, fs->window_len);
		fs->window_start = 0;
	}
	memcpy(fs->window + fs->window_start + fs->window_len, bytes, n);
	fs->window_len += n;
	return erofs_compress_window(fs, false, err);
}

static int
erofs_write_compressed(struct erofs *fs, struct erofs_inode *inode, struct error *err)
{
	size_t n = (size_t)((inode->size + BLOCK - 1) / BLOCK);

	fs->current = inode;
	fs->window_start = fs->window_len = fs->cluster_offset = 0;
	inode->data = DATA_COMPRESSED;
	inode->block = 0;
	/* One entry more than it has: see erofs_put_index(). */
	inode->tail = calloc(n + 1, INDEX_SIZE);
	if (!inode->tail)
		return error_nomem(err, "compressing a file system");
	if (content_read(inode->entry, erofs_take_compressed, fs, err) < 0 ||
	    erofs_compress_window(fs, true, err) < 0)
		return -1;
	/* The end of the content, unless it ends with a block. */
	if (fs->cluster_offset) {
		uint8_t *out = inode->tail + inode->tail_len;

		erofs_put(out, CLUSTER_PLAIN, 2);
		erofs_put(out + 2, fs->cluster_offset, 2);
		inode->tail_len += INDEX_SIZE;
	}
	return 0;
}

/* Compresses what is in the window, block by block. Each block holds as much content as fits, of
 * EXTENT_MAX bytes that follow, which are always at hand, so that the result does not depend on how
 * the content is read. */
static int
erofs_compress_window(struct erofs *fs, bool last, struct error *err)
{
	while (fs->window_len >= EXTENT_MAX || (last && fs->window_len)) {
		const uint8_t *content = fs->window + fs->window_start;
		int count = (int)(fs->window_len < EXTENT_MAX ? fs->window_len : EXTENT_MAX), n = 0;
		uint8_t packed[BLOCK], block[BLOCK] = { 0 };
		bool plain;

		if ((size_t)count > BLOCK)
			n = LZ4_compress_HC_destSize(fs->lz4, (const char *)content, (char *)packed,
						     &count, (int)BLOCK, LZ4_LEVEL);
		/* Content of a block or less is not worth the work of decompression. */
		plain = n <= 0 || (size_t)count <= BLOCK;
		if (plain) {
			count = (int)(fs->window_len < BLOCK ? fs->window_len : BLOCK);
			memcpy(block, content, (size_t)count);
		} else {
			/* The kernel expects the zeros before the compressed content. */
			memcpy(block + BLOCK - (size_t)n, packed, (size_t)n);
		}
		erofs_put_index(fs, plain, (size_t)count, fs->next_block);
		if (erofs_write_blocks(fs, block, BLOCK, err) < 0)
			return -1;
		fs->current->block++;
		fs->window_start += (size_t)count;
		fs->window_len -= (size_t)count;
	}
	return 0;
}

/* Appends the index entries for `count` bytes of content in one block: one for each block of
 * content that ends in it. The block of content in which it ends itself is described by the next
 * call, whose content begins there, or by the end of the file. */
static void
erofs_put_index(struct erofs *fs, bool plain, size_t count, uint32_t block)
{
	size_t distance = 0, left = (fs->cluster_offset + count) / BLOCK;
	struct erofs_inode *inode = fs->current;
	uint8_t *out = inode->tail + inode->tail_len;

	if (!left) {
		/* The last content of the file begins and ends in one block. */
		erofs_put(out, CLUSTER_PLAIN, 2);
		erofs_put(out + 2, fs->cluster_offset, 2);
		erofs_put(out + 4, block, 4);
		inode->tail_len += INDEX_SIZE;
		fs->cluster_offset = 0;
		return;
	}
	for (; left; left--, distance++, out += INDEX_SIZE, inode->tail_len += INDEX_SIZE) {
		if (distance == 0) {
			erofs_put(out, plain ? CLUSTER_PLAIN : CLUSTER_HEAD, 2);
			erofs_put(out + 2, fs->cluster_offset, 2);
			erofs_put(out + 4, block, 4);
		} else {
			erofs_put(out, CLUSTER_NONHEAD, 2);
			erofs_put(out + 4, distance, 2);
			erofs_put(out + 6, left, 2);
		}
	}
	fs->cluster_offset = (fs->cluster_offset + count) % BLOCK;
}

/* Bytes of an inode with its attributes and what follows them. */
static size_t
erofs_meta_size(const struct erofs_inode *inode)
{
	size_t n = erofs_inode_size(inode) + inode->xattr_size;

	if (inode->data == DATA_COMPRESSED)
		return filesystem_round(n, INDEX_ALIGN) + INDEX_HEADER + inode->tail_len;
	return n + (inode->data == DATA_INLINE ? inode->tail_len : 0);
}

/* Gives each inode its number: the root comes first, because the superblock has 16 bits for it.
 * Neither an inode nor inline content may cross the border of a block. */
static int
erofs_place(struct erofs *fs, struct error *err)
{
	size_t at = 0;

	for (size_t i = 0; i < fs->n_inodes; i++) {
		struct erofs_inode *inode = &fs->inodes[i];
		size_t n = erofs_meta_size(inode);
		size_t whole = inode->data == DATA_INLINE ? n : erofs_inode_size(inode);

		if (inode->same != inode)
			continue;
		at = filesystem_round(at, SLOT);
		if (at % BLOCK + whole > BLOCK)
			at = filesystem_round(at, BLOCK);
		inode->nid = at / SLOT;
		at += n;
	}
	fs->meta_len = filesystem_round(at, BLOCK);
	fs->meta = calloc(1, fs->meta_len);
	return fs->meta ? 0 : error_nomem(err, "making a file system");
}

static uint8_t
erofs_file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		return 7;
	}
}

/* An entry of a directory while its block is filled. */
struct erofs_dirent {
	const char *name;
	const struct erofs_inode *inode;
};

static void
erofs_put_dirents(uint8_t *out, const struct erofs_dirent *list, size_t n)
{
	size_t name_at = n * DIRENT;

	for (size_t i = 0; i < n; i++) {
		erofs_put(out + i * DIRENT, list[i].inode->nid, 8);
		erofs_put(out + i * DIRENT + 8, name_at, 2);
		out[i * DIRENT + 10] = erofs_file_type(list[i].inode->entry->mode);
		memcpy(out + name_at, list[i].name, strlen(list[i].name));
		name_at += strlen(list[i].name);
	}
}

static int
erofs_compare_dirents(const void *a, const void *b)
{
	const struct erofs_dirent *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Computes the content of a directory. First its size is wanted, which decides where it lies; then
 * the numbers of the inodes are known, and it is written. */
static int
erofs_fill_dir(struct erofs *fs, struct erofs_inode *inode, bool write, struct error *err)
{
	size_t n = inode->n_children + 2, used = 0, first = 0, block = 0, blocks = 1;
	struct erofs_dirent *list = calloc(n, sizeof(*list));
	uint8_t *content = NULL;

	if (!list)
		return error_nomem(err, "making a file system");
	list[0] = (struct erofs_dirent){ ".", inode };
	list[1] = (struct erofs_dirent){ "..", &fs->inodes[inode->parent] };
	for (size_t i = 0; i < inode->n_children; i++) {
		const struct erofs_inode *child = &fs->inodes[fs->children[inode->first_child + i]];

		list[i + 2] = (struct erofs_dirent){ erofs_name(child->entry), child->same };
	}
	/* Some names sort before the dots. */
	qsort(list, n, sizeof(*list), erofs_compare_dirents);
	for (size_t i = 0; i < n; i++) {
		size_t need = DIRENT + strlen(list[i].name);

		if (used + need > BLOCK) {
			blocks++;
			used = 0;
		}
		used += need;
	}
	content = calloc(blocks, BLOCK);
	if (!content) {
		free(list);
		return error_nomem(err, "making a file system");
	}
	used = 0;
	for (size_t i = 0; i <= n; i++) {
		size_t need = i < n ? DIRENT + strlen(list[i].name) : BLOCK;

		if (used + need > BLOCK && i > first) {
			erofs_put_dirents(content + block * BLOCK, list + first, i - first);
			first = i;
			if (i < n) {
				block++;
				used = 0;
			}
		}
		if (i < n)
			used += need;
	}
	free(list);
	if (!write) {
		inode->size = block * BLOCK + used;
		inode->tail_len = used % BLOCK;
		inode->data = DATA_PLAIN;
		if (inode->tail_len && erofs_tail_is_inline(fs, inode))
			inode->data = DATA_INLINE;
		inode->block = fs->next_block;
		fs->next_block += (uint32_t)(blocks - (inode->data == DATA_INLINE));
		free(content);
		return 0;
	}
	n = (blocks - (inode->data == DATA_INLINE)) * BLOCK;
	if (n && pwrite(fs->fd, content, n, (off_t)(inode->block * BLOCK)) != (ssize_t)n) {
		free(content);
		return error_sys(err, "failed to write the file system");
	}
	if (inode->data == DATA_INLINE)
		memmove(content, content + n, inode->tail_len);
	inode->tail = content;
	return 0;
}

static void
erofs_put_xattrs(uint8_t *out, const struct image_entry *entry)
{
	out += XATTR_HEADER;
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		const char *rest = "";
		uint8_t prefix = 0;

		(void)erofs_xattr_name(x->name, &prefix, &rest);
		out[0] = (uint8_t)strlen(rest);
		out[1] = prefix;
		erofs_put(out + 2, x->n, 2);
		memcpy(out + XATTR_ENTRY, rest, strlen(rest));
		memcpy(out + XATTR_ENTRY + strlen(rest), x->value, x->n);
		out += filesystem_round(XATTR_ENTRY + strlen(rest) + x->n, 4);
	}
}

static uint32_t
erofs_device(const struct image_entry *entry)
{
	return (entry->dev_minor & 0xff) | entry->dev_major << 8 |
	       (entry->dev_minor & ~UINT32_C(0xff)) << 12;
}

static int
erofs_put_inode(struct erofs *fs, const struct erofs_inode *inode, struct error *err)
{
	const struct image_entry *entry = inode->entry;
	uint8_t *out = fs->meta + inode->nid * SLOT;
	size_t size = erofs_inode_size(inode);
	bool extended = size == EXTENDED_SIZE;
	uint32_t place = inode->block;

	if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode))
		place = erofs_device(entry);
	else if (!inode->size || (inode->data == DATA_INLINE && inode->size < BLOCK))
		place = 0;
	if (entry->dev_minor >= 1u << 20 || entry->dev_major >= 1u << 12)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to add /%.200s: device number too large", entry->path);
	erofs_put(out, (uint64_t)inode->data << 1 | extended, 2);
	if (inode->xattr_size)
		erofs_put(out + 2, (inode->xattr_size - XATTR_HEADER) / 4 + 1, 2);
	erofs_put(out + 4, entry->mode, 2);
	erofs_put(out + 16, place, 4);
	erofs_put(out + 20, (uint64_t)(inode - fs->inodes) + 1, 4);
	if (extended) {
		erofs_put(out + 8, inode->size, 8);
		erofs_put(out + 24, entry->uid, 4);
		erofs_put(out + 28, entry->gid, 4);
		erofs_put(out + 32, fs->build->spec->epoch, 8);
		erofs_put(out + 44, inode->nlink, 4);
	} else {
		erofs_put(out + 6, inode->nlink, 2);
		erofs_put(out + 8, inode->size, 4);
		erofs_put(out + 24, entry->uid, 2);
		erofs_put(out + 26, entry->gid, 2);
	}
	out += size;
	if (inode->xattr_size)
		erofs_put_xattrs(out, entry);
	out += inode->xattr_size;
	if (inode->data == DATA_COMPRESSED)
		out = fs->meta + inode->nid * SLOT +
		      filesystem_round(size + inode->xattr_size, INDEX_ALIGN) + INDEX_HEADER;
	if (inode->data != DATA_PLAIN)
		memcpy(out, inode->tail, inode->tail_len);
	return 0;
}

static size_t
erofs_count(const struct erofs *fs)
{
	size_t n = 0;

	for (size_t i = 0; i < fs->n_inodes; i++)
		n += fs->inodes[i].same == &fs->inodes[i];
	return n;
}

/* Compact inodes have the time of the superblock. */
static int
erofs_put_super(struct erofs *fs, uint32_t meta_block, struct error *err)
{
	uint8_t block[BLOCK] = { 0 }, *out = block + SUPER_AT;

	erofs_put(out, MAGIC, 4);
	erofs_put(out + 8, COMPAT_CHECKSUM, 4);
	out[12] = 12;
	erofs_put(out + 14, fs->inodes[0].nid, 2);
	erofs_put(out + 16, erofs_count(fs), 8);
	erofs_put(out + 24, fs->build->spec->epoch, 8);
	erofs_put(out + 36, fs->next_block, 4);
	erofs_put(out + 40, meta_block, 4);
	build_seed(fs->build, "filesystem-uuid", out + 48, 16);
	out[48 + 6] = (uint8_t)((out[48 + 6] & 0x0f) | 0x40);
	out[48 + 8] = (uint8_t)((out[48 + 8] & 0x3f) | 0x80);
	memcpy(out + 64, "tatami-root", 11);
	erofs_put(out + 80, fs->compress ? INCOMPAT_ZEROPADS : 0, 4);
	erofs_put(out + 4, crc32c(~UINT32_C(0), out, BLOCK - SUPER_AT), 4);
	if (pwrite(fs->fd, block, BLOCK, 0) != (ssize_t)BLOCK)
		return error_sys(err, "failed to write the file system");
	return ftruncate(fs->fd, (off_t)(fs->next_block * BLOCK)) < 0
		       ? error_sys(err, "failed to write the file system")
		       : 0;
}
