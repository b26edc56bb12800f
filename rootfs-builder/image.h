/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contents of an image as a list in memory: what will be at which path, with which mode and
 * owner. Device nodes and owners never have to exist on disk, so no privilege is needed. Paths are
 * those of the image; their parent directories are resolved through the image's own symlinks
 * ("sbin/init" becomes "usr/sbin/init" where sbin is a link), so that no entry ever lies below a
 * symlink.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/error.h"

struct image_entry {
	char *path;                    /* "usr/bin/tatami": no leading slash, no ".", no ".." */
	uint32_t mode;                 /* type and permissions */
	uint32_t uid, gid;             /* 0 unless set */
	uint32_t dev_major, dev_minor; /* device nodes */
	uint64_t size;                 /* regular files and symlinks */
	char *source;     /* file whose bytes are read when the image is written; or NULL */
	struct stat seen; /* that file when it was added: it must not change until then */
	uint8_t *data;    /* else the bytes, or the symlink's target; NULL if size is 0 */
	uint32_t crc;     /* of the content, known once the image is written */
};

struct image {
	struct image_entry **entries; /* sorted by path after image_sort() */
	size_t n, size;
	void *index; /* tsearch(3) tree over path */
};

#define IMAGE_INIT ((struct image){ 0 })

void image_release(struct image *image);

/* Each of these puts one thing at a path, creating missing parents (0755, root). What is there
 * already is replaced, but a directory stays a directory: putting a file on one, or the reverse, is
 * an error (ALREADY_EXISTS). INVALID_ARGUMENT for a path that the kernel or a list of lines could
 * not take. */
int image_add_dir(struct image *image, const char *path, uint32_t perm, struct error *err);
int image_add_data(struct image *image, const char *path, uint32_t perm, const void *data, size_t n,
		   struct error *err);
int image_add_symlink(struct image *image, const char *path, const char *target, struct error *err);
int image_add_node(struct image *image, const char *path, uint32_t mode, uint32_t dev_major,
		   uint32_t dev_minor, struct error *err);

/* The bytes of the host file `source`, read when the image is written. It must be a regular file
 * (symlinks are followed) and keep its size and time until then. */
int image_add_file(struct image *image, const char *path, uint32_t perm, const char *source,
		   struct error *err);

/* Copies a directory of the host, with the permissions found there and everything owned by root,
 * or, with keep_owners, by who owns it there. Order, times, inode numbers and hard links do not
 * enter the image. */
int image_add_tree(struct image *image, const char *dir, bool keep_owners, struct error *err);

/* Gives an entry another owner. NOT_FOUND if the path is not there; a symlink itself is meant. */
int image_set_owner(struct image *image, const char *path, uint32_t uid, uint32_t gid,
		    struct error *err);

/* What lies at the path, its last component not followed. NULL if nothing does. */
struct image_entry *image_find(const struct image *image, const char *path);

/* As image_find, following symlinks to the end. NULL, NOT_FOUND: nothing there, or links in a
 * circle. */
struct image_entry *image_resolve(const struct image *image, const char *path, struct error *err);

/* Bytewise by path, so that every directory comes before what it holds. */
void image_sort(struct image *image);
