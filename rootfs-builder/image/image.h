/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contents of an image as a list of paths in memory, with mode and owner. Device nodes and
 * owners need not exist on disk, so no privilege is needed. Paths are relative to the image; their
 * parent directories are resolved through its symlinks ("sbin/init" becomes "usr/sbin/init" where
 * sbin is a link), so that no entry is ever below a symlink.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/error.h"

/* An extended attribute, such as "security.capability". */
struct image_xattr {
	char *name;
	uint8_t *value;
	size_t n;
	/* The next one, in bytewise order of the names; or NULL. */
	struct image_xattr *next;
};

struct image_entry {
	/* Without leading slash, "." and "..": "usr/bin/tatami". */
	char *path;
	/* Type and permissions. */
	uint32_t mode;
	uint32_t uid, gid;
	/* Number of a device node. */
	uint32_t dev_major, dev_minor;
	/* Size of a regular file, or length of the target of a symlink. */
	uint64_t size;
	/* File on the host that is read when the image is written; or NULL. */
	char *source;
	/* Its state when it was added: the file must not change until it is read. */
	struct stat seen;
	/* Without source: the content, or the target of the symlink; NULL if size is 0. */
	uint8_t *data;
	struct image_xattr *xattrs;
	/* Not 0: the entries with the same number are hard links to one file. Each has its own copy
	 * of everything above. */
	uint32_t link_group;
	/* image->layer when it was added. */
	uint32_t layer;
	/* Used by image_remove(). */
	bool is_doomed;
	/* CRC-32 of the content, set when the image is written. */
	uint32_t crc;
};

struct image {
	/* Sorted by path after image_sort(). */
	struct image_entry **entries;
	size_t n, size;
	/* tsearch(3) tree of the entries, by path. */
	void *index;
	/* Number of the layer whose entries are being added. */
	uint32_t layer;
	uint32_t n_link_groups;
};

#define IMAGE_INIT ((struct image){ 0 })

void image_release(struct image *image);

/* Each adds an entry at a path and creates missing parents (mode 0755, owner root). An existing
 * entry is replaced, but replacing a directory by something else, or the reverse, fails with
 * ALREADY_EXISTS. INVALID_ARGUMENT if the path is too long or contains control characters. */
int image_add_dir(struct image *image, const char *path, uint32_t perm, struct error *err);
int image_add_data(struct image *image, const char *path, uint32_t perm, const void *data, size_t n,
		   struct error *err);
int image_add_symlink(struct image *image, const char *path, const char *target, struct error *err);
int image_add_node(struct image *image, const char *path, uint32_t mode, uint32_t dev_major,
		   uint32_t dev_minor, struct error *err);

/* Adds the content of the file `source` of the host, which is read when the image is written. It
 * must be a regular file (symlinks are followed) whose size and time do not change until then. */
int image_add_file(struct image *image, const char *path, uint32_t perm, const char *source,
		   struct error *err);

/* Adds a directory tree of the host with its permissions. Entries are owned by root, or with
 * keep_owners by their owners on the host. Hard links within the tree are preserved, and extended
 * attributes except those that belong to the host; order, times and inode numbers are not. */
int image_add_tree(struct image *image, const char *dir, bool keep_owners, struct error *err);

/* The same below a path of the image, which is created as a directory. */
int image_add_tree_at(struct image *image, const char *dir, const char *path, bool keep_owners,
		      struct error *err);

/* Adds a hard link to an existing entry, which must not be a directory. NOT_FOUND if there is no
 * entry at the path `target`; a final symlink is not followed. */
int image_add_link(struct image *image, const char *path, const char *target, struct error *err);

/* Removes the entry at the path unless below_only is set, and everything below it, as far as it was
 * added before the current layer. A final symlink is not followed. Does nothing if there is no
 * entry. The path "" is the root. */
int image_remove(struct image *image, const char *path, bool below_only, struct error *err);

/* Sets the owner of an entry; a final symlink is not followed. NOT_FOUND if there is no entry. */
int image_set_owner(struct image *image, const char *path, uint32_t uid, uint32_t gid,
		    struct error *err);

/* Sets an extended attribute of an entry; a final symlink is not followed. NOT_FOUND if there is no
 * entry. */
int image_set_xattr(struct image *image, const char *path, const char *name, const void *value,
		    size_t n, struct error *err);

/* Opens the source of an entry. ABORTED if the file has changed since it was added. */
int image_open_source(const struct image_entry *entry, struct error *err);

/* Returns the entry at the path, or NULL; a final symlink is not followed. */
struct image_entry *image_find(const struct image *image, const char *path);

/* As image_find(), but follows a final symlink. Returns NULL and NOT_FOUND if there is no entry, or
 * for a loop of symlinks. */
struct image_entry *image_resolve(const struct image *image, const char *path, struct error *err);

/* Removes the entries that `keeps` returns false for, and everything below removed directories.
 * Returns the number of removed entries. */
size_t image_filter(struct image *image, bool (*keeps)(const struct image_entry *entry, void *data),
		    void *data);

/* Sorts the entries bytewise by path, so that a directory precedes its content. */
void image_sort(struct image *image);

/* A group of hard links: the indices of its first and last entry, and their number. */
struct image_links {
	size_t first, last;
	uint32_t n;
};

/* Returns the groups by their number (link_group; 0 is empty), as long as the image does not
 * change, or NULL. The caller frees them. */
struct image_links *image_links(const struct image *image, struct error *err);
