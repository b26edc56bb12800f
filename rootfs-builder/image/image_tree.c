/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds a directory of the host to an image. Names are sorted bytewise, so that the result does not
 * depend on the order of the file system. Of file systems mounted below only the mount points are
 * added.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/image/image.h"

/* The values of all attributes of a file have at most this size (xattr(7)), and so have their
 * names. */
#define XATTR_MAX ((size_t)64 << 10)

/* A file with several names, and the first of them in the image. */
struct tree_file {
	dev_t dev;
	ino_t ino;
	char path[];
};

struct tree {
	struct image *image;
	/* tsearch(3) tree of struct tree_file. */
	void *files;
	/* The directory on the host, and its path in the image: "", or with a final slash. */
	const char *top, *prefix;
	/* Its file system. */
	dev_t dev;
	bool keep_owners;
	/* Directories below top that are still to be read; "" is top. */
	char **todo;
	size_t n_todo, size;
};

static int tree_push(struct tree *tree, char *path);
static int tree_read_dir(struct tree *tree, const char *dir, struct error *err);
static int tree_add_one(struct tree *tree, int dirfd, const char *dir, const char *name,
			struct error *err);
static int tree_add_file(struct tree *tree, const char *source, const char *path,
			 const struct stat *st, bool *linked, struct error *err);
static int tree_add_xattrs(struct tree *tree, const char *source, const char *path, uint32_t mode,
			   struct error *err);
static int tree_add_dir(struct tree *tree, const char *path, const struct stat *st,
			struct error *err);
static int tree_add_symlink(struct tree *tree, int dirfd, const char *name, const char *path,
			    struct error *err);

int
image_add_tree(struct image *image, const char *dir, bool keep_owners, struct error *err)
{
	return image_add_tree_at(image, dir, "", keep_owners, err);
}

int
image_add_tree_at(struct image *image, const char *dir, const char *path, bool keep_owners,
		  struct error *err)
{
	auto_free char *prefix = NULL;
	struct tree tree = { .image = image, .top = dir, .keep_owners = keep_owners };
	char *top = strdup("");
	struct stat st;
	int r = 0;

	if (asprintf(&prefix, "%s%s", path, *path ? "/" : "") < 0) {
		prefix = NULL;
		free(top);
		return error_nomem(err, "reading a directory tree");
	}
	tree.prefix = prefix;
	if (!top || tree_push(&tree, top) < 0) {
		free(top);
		return error_nomem(err, "reading a directory tree");
	}
	if (stat(dir, &st) < 0)
		r = error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				   "failed to stat %s", dir);
	tree.dev = r == 0 ? st.st_dev : 0;
	if (r == 0 && path[strspn(path, "/")]) {
		r = image_add_dir(image, path, st.st_mode, err);
		if (r == 0 && keep_owners)
			r = image_set_owner(image, path, st.st_uid, st.st_gid, err);
	}
	while (r == 0 && tree.n_todo) {
		auto_free char *next = tree.todo[--tree.n_todo];

		r = tree_read_dir(&tree, next, err);
	}
	while (tree.n_todo)
		free(tree.todo[--tree.n_todo]);
	free(tree.todo);
	tdestroy(tree.files, free);
	return r < 0 ? error_wrap(err, "failed to add the tree %s", dir) : 0;
}

static int
tree_push(struct tree *tree, char *path)
{
	char **grown;

	if (tree->n_todo == tree->size) {
		size_t size = tree->size ? tree->size * 2 : 64;

		grown = reallocarray(tree->todo, size, sizeof(*grown));
		if (!grown)
			return -1;
		tree->todo = grown;
		tree->size = size;
	}
	tree->todo[tree->n_todo++] = path;
	return 0;
}

static int
tree_no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int
tree_bytewise(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
tree_read_dir(struct tree *tree, const char *dir, struct error *err)
{
	auto_close int fd = -1;
	auto_free char *source = NULL;
	struct dirent **names = NULL;
	int n, r = 0;

	if (asprintf(&source, "%s%s%s", tree->top, *dir ? "/" : "", dir) < 0)
		return error_nomem(err, "reading a directory tree");
	fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*dir ? O_NOFOLLOW : 0));
	if (fd < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open the directory %s", source);
	n = scandirat(fd, ".", &names, tree_no_dots, tree_bytewise);
	if (n < 0)
		return error_sys(err, "failed to read the directory %s", source);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = tree_add_one(tree, fd, dir, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return r;
}

static int
tree_add_one(struct tree *tree, int dirfd, const char *dir, const char *name, struct error *err)
{
	auto_free char *path = NULL, *source = NULL;
	bool linked = false;
	struct stat st;
	int r;

	if (asprintf(&path, "%s%s%s%s", tree->prefix, dir, *dir ? "/" : "", name) < 0 ||
	    asprintf(&source, "%s/%s", tree->top, path + strlen(tree->prefix)) < 0)
		return error_nomem(err, "reading a directory tree");
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to stat %s", source);
	if (S_ISDIR(st.st_mode))
		r = tree_add_dir(tree, path, &st, err);
	else if (S_ISLNK(st.st_mode))
		r = tree_add_symlink(tree, dirfd, name, path, err);
	else if (S_ISREG(st.st_mode))
		r = tree_add_file(tree, source, path, &st, &linked, err);
	else
		r = image_add_node(tree->image, path, st.st_mode, major(st.st_rdev),
				   minor(st.st_rdev), err);
	/* A hard link has both. */
	if (r < 0 || linked)
		return r;
	if (tree_add_xattrs(tree, source, path, st.st_mode, err) < 0)
		return -1;
	return tree->keep_owners ? image_set_owner(tree->image, path, st.st_uid, st.st_gid, err)
				 : 0;
}

static int
tree_compare_files(const void *a, const void *b)
{
	const struct tree_file *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Adds a file, or a hard link to a name of it that was added before. */
static int
tree_add_file(struct tree *tree, const char *source, const char *path, const struct stat *st,
	      bool *linked, struct error *err)
{
	struct tree_file *file, **found;

	if (st->st_nlink < 2)
		return image_add_file(tree->image, path, st->st_mode, source, err);
	file = malloc(sizeof(*file) + strlen(path) + 1);
	if (!file)
		return error_nomem(err, "reading a directory tree");
	file->dev = st->st_dev;
	file->ino = st->st_ino;
	memcpy(file->path, path, strlen(path) + 1);
	found = tsearch(file, &tree->files, tree_compare_files);
	if (!found) {
		free(file);
		return error_nomem(err, "reading a directory tree");
	}
	if (*found == file)
		return image_add_file(tree->image, path, st->st_mode, source, err);
	free(file);
	*linked = true;
	return image_add_link(tree->image, path, (*found)->path, err);
}

/* Tells whether an attribute belongs to a file, not to the machine that holds it: labels of a
 * security module, signatures that cover the number of an inode, and marks of overlay mounts do
 * not. */
static bool
tree_keeps_xattr(const char *name)
{
	static const char *const kept[] = { "user.", "security.", "system.posix_acl_access",
					    "system.posix_acl_default" };
	static const char *const others[] = { "security.selinux", "security.SMACK64",
					      "security.apparmor", "security.evm",
					      "user.overlay." };

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (!strncmp(name, others[i], strlen(others[i])))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (!strncmp(name, kept[i], strlen(kept[i])))
			return true;
	}
	return false;
}

static int
tree_add_xattrs(struct tree *tree, const char *source, const char *path, uint32_t mode,
		struct error *err)
{
	char names[XATTR_MAX];
	auto_free uint8_t *value = NULL;
	ssize_t n = llistxattr(source, names, sizeof(names)), len;
	const struct image_entry *entry = n > 0 ? image_find(tree->image, path) : NULL;

	/* A directory that a symlink leads to keeps what it has. */
	if (entry && S_ISDIR(mode) != S_ISDIR(entry->mode))
		return 0;
	if (n < 0 && errno != ENOTSUP)
		return error_sys(err, "failed to list the extended attributes of %s", source);
	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		if (!tree_keeps_xattr(name))
			continue;
		if (!value)
			value = malloc(XATTR_MAX);
		if (!value)
			return error_nomem(err, "reading an extended attribute");
		len = lgetxattr(source, name, value, XATTR_MAX);
		if (len < 0)
			return error_sys(err, "failed to read %s of %s", name, source);
		if (image_set_xattr(tree->image, path, name, value, (size_t)len, err) < 0)
			return -1;
	}
	return 0;
}

static int
tree_add_dir(struct tree *tree, const char *path, const struct stat *st, struct error *err)
{
	char *todo;

	if (image_add_dir(tree->image, path, st->st_mode, err) < 0)
		return -1;
	if (st->st_dev != tree->dev)
		return 0;
	todo = strdup(path + strlen(tree->prefix));
	if (!todo || tree_push(tree, todo) < 0) {
		free(todo);
		return error_nomem(err, "reading a directory tree");
	}
	return 0;
}

static int
tree_add_symlink(struct tree *tree, int dirfd, const char *name, const char *path,
		 struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return error_sys(err, "failed to read the symlink %s/%s", tree->top, path);
	if ((size_t)n == sizeof(target))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to read the symlink %s/%s: target longer than 4095 bytes",
				 tree->top, path);
	target[n] = '\0';
	return image_add_symlink(tree->image, path, target, err);
}
