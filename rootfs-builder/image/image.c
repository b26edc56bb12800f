/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"

/* The limit of path_resolution(7). */
#define SYMLINKS_MAX 40

/* A path that is being made canonical. */
struct walk {
	/* The canonical part. */
	char done[PATH_MAX];
	/* The part that is not resolved yet. */
	char rest[PATH_MAX];
	unsigned links;
};

static void image_keep_node(void *node);
static int image_compare_slots(const void *a, const void *b);
static int image_canonical(const struct image *image, const char *path, bool follow_last,
			   char out[PATH_MAX], struct error *err);
static int image_step(const struct image *image, struct walk *walk, bool follow_last,
		      const char *path, struct error *err);
static struct image_entry *image_prepare(struct image *image, const char *path, uint32_t mode,
					 struct error *err);
static int image_make_parents(struct image *image, const char *path, struct error *err);
static int image_insert(struct image *image, struct image_entry *entry, struct error *err);

static int
image_compare_paths(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void
image_entry_free(struct image_entry *entry)
{
	if (!entry)
		return;
	free(entry->path);
	free(entry->source);
	free(entry->data);
	while (entry->xattrs) {
		struct image_xattr *xattr = entry->xattrs;

		entry->xattrs = xattr->next;
		free(xattr->name);
		free(xattr->value);
		free(xattr);
	}
	free(entry);
}

static struct image_entry *
image_find_exact(const struct image *image, const char *path)
{
	struct image_entry key = { .path = (char *)path };
	struct image_entry *const *node = tfind(&key, &image->index, image_compare_paths);

	return node ? *node : NULL;
}

static int
image_path_failed(struct error *err, const char *path, const char *why)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "failed to add %.200s to the image: %s", path,
			 why);
}

void
image_release(struct image *image)
{
	tdestroy(image->index, image_keep_node);
	for (size_t i = 0; i < image->n; i++)
		image_entry_free(image->entries[i]);
	free(image->entries);
	*image = IMAGE_INIT;
}

static void
image_keep_node(void *node)
{
	/* The entries are freed through the array. */
	(void)node;
}

void
image_sort(struct image *image)
{
	if (image->n > 1)
		qsort(image->entries, image->n, sizeof(struct image_entry *), image_compare_slots);
}

static int
image_compare_slots(const void *a, const void *b)
{
	struct image_entry *const *x = a, *const *y = b;

	return image_compare_paths(*x, *y);
}

struct image_entry *
image_find(const struct image *image, const char *path)
{
	struct error ignored;
	char full[PATH_MAX];

	if (image_canonical(image, path, false, full, &ignored) < 0)
		return NULL;
	return image_find_exact(image, full);
}

/* Stores the canonical form of a path, which need not exist. */
static int
image_canonical(const struct image *image, const char *path, bool follow_last, char out[PATH_MAX],
		struct error *err)
{
	struct walk walk = { .links = 0 };

	if (strlen(path) >= sizeof(walk.rest))
		return image_path_failed(err, path, "path longer than 4095 bytes");
	memcpy(walk.rest, path, strlen(path) + 1);
	while (walk.rest[strspn(walk.rest, "/")]) {
		if (image_step(image, &walk, follow_last, path, err) < 0)
			return -1;
	}
	memcpy(out, walk.done, strlen(walk.done) + 1);
	return 0;
}

static void
image_drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
	else
		path[0] = '\0';
}

/* Replaces the symlink that has just been reached by its target. */
static int
image_follow_link(struct walk *walk, const struct image_entry *link, const char *rest,
		  const char *path, struct error *err)
{
	auto_free char *joined = NULL;

	if (++walk->links > SYMLINKS_MAX)
		return error_set(err, ERROR_NOT_FOUND,
				 "failed to resolve %.200s in the image: too many symlinks", path);
	if (link->data[0] == '/')
		walk->done[0] = '\0';
	if (asprintf(&joined, "%s/%s", (const char *)link->data, rest) < 0)
		return error_nomem(err, "resolving a path");
	if (strlen(joined) >= sizeof(walk->rest))
		return image_path_failed(err, path, "path too long after resolving its symlinks");
	memcpy(walk->rest, joined, strlen(joined) + 1);
	return 0;
}

/* Moves one component of walk->rest to walk->done. */
static int
image_step(const struct image *image, struct walk *walk, bool follow_last, const char *path,
	   struct error *err)
{
	char rest[PATH_MAX], *name = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(name, "/"), used = strlen(walk->done);
	struct image_entry *entry;
	bool last;

	memcpy(rest, name + len, strlen(name + len) + 1);
	name[len] = '\0';
	last = rest[strspn(rest, "/")] == '\0';
	if (!strcmp(name, "..")) {
		image_drop_last(walk->done);
	} else if (len && strcmp(name, ".") != 0) {
		if (len > NAME_MAX)
			return image_path_failed(err, path, "component longer than 255 bytes");
		if (used + 1 + len >= sizeof(walk->done))
			return image_path_failed(err, path, "path longer than 4095 bytes");
		if (used)
			walk->done[used++] = '/';
		memcpy(walk->done + used, name, len + 1);
		entry = image_find_exact(image, walk->done);
		if (entry && S_ISLNK(entry->mode) && (!last || follow_last)) {
			image_drop_last(walk->done);
			return image_follow_link(walk, entry, rest, path, err);
		}
		if (entry && !last && !S_ISDIR(entry->mode))
			return error_set(
				err, ERROR_ALREADY_EXISTS,
				"failed to add %.200s to the image: /%.200s is not a directory",
				path, walk->done);
	}
	memcpy(walk->rest, rest, strlen(rest) + 1);
	return 0;
}

struct image_entry *
image_resolve(const struct image *image, const char *path, struct error *err)
{
	char full[PATH_MAX];
	struct image_entry *entry;

	if (image_canonical(image, path, true, full, err) < 0)
		return NULL;
	entry = image_find_exact(image, full);
	if (!entry)
		error_set(err, ERROR_NOT_FOUND, "no %.200s in the image (resolved to /%.200s)",
			  path, full);
	return entry;
}

int
image_add_dir(struct image *image, const char *path, uint32_t perm, struct error *err)
{
	struct image_entry *entry = image_find(image, path);
	struct error ignored;

	if (entry && S_ISLNK(entry->mode)) {
		entry = image_resolve(image, path, &ignored);
		/* A symlink to a directory is as good as a directory: /lib with a merged /usr. */
		if (entry && S_ISDIR(entry->mode))
			return 0;
	}
	entry = image_prepare(image, path, S_IFDIR | (perm & 07777), err);
	return entry ? image_insert(image, entry, err) : -1;
}

static struct image_entry *
image_entry_new(const char *path, uint32_t mode, struct error *err)
{
	struct image_entry *entry = calloc(1, sizeof(*entry));

	if (entry)
		entry->path = strdup(path);
	if (!entry || !entry->path) {
		image_entry_free(entry);
		error_nomem(err, "adding an entry to the image");
		return NULL;
	}
	entry->mode = mode;
	return entry;
}

/* Creates an entry for any path, and its parents in the image. The entry is not added yet. */
static struct image_entry *
image_prepare(struct image *image, const char *path, uint32_t mode, struct error *err)
{
	char full[PATH_MAX];

	for (const char *c = path; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			image_path_failed(err, path,
					  "newline or other control character in the path");
			return NULL;
		}
	}
	if (image_canonical(image, path, false, full, err) < 0)
		return NULL;
	if (!full[0]) {
		image_path_failed(err, path, "the path is that of the root");
		return NULL;
	}
	if (!strcmp(full, "TRAILER!!!")) {
		image_path_failed(err, path, "the name is that of the end marker of an archive");
		return NULL;
	}
	if (image_make_parents(image, full, err) < 0)
		return NULL;
	return image_entry_new(full, mode, err);
}

static int
image_make_parents(struct image *image, const char *path, struct error *err)
{
	char prefix[PATH_MAX];
	struct image_entry *dir;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(prefix, path, (size_t)(slash - path));
		prefix[slash - path] = '\0';
		if (image_find_exact(image, prefix))
			continue;
		dir = image_entry_new(prefix, S_IFDIR | 0755, err);
		if (!dir || image_insert(image, dir, err) < 0)
			return -1;
	}
	return 0;
}

/* Replaces the content of `old` by that of `entry`, and frees the rest. */
static int
image_replace(struct image_entry *old, struct image_entry *entry, struct error *err)
{
	struct image_entry swap = *old;

	if (S_ISDIR(old->mode) != S_ISDIR(entry->mode)) {
		error_set(err, ERROR_ALREADY_EXISTS,
			  "failed to add /%.200s to the image: a %s exists there", old->path,
			  S_ISDIR(old->mode) ? "directory" : "file");
		image_entry_free(entry);
		return -1;
	}
	*old = *entry;
	*entry = swap;
	image_entry_free(entry);
	return 0;
}

/* Adds an entry whose path is canonical and whose parents exist. Takes ownership, also on
 * failure. */
static int
image_insert(struct image *image, struct image_entry *entry, struct error *err)
{
	struct image_entry *old = image_find_exact(image, entry->path);
	struct image_entry **grown;

	entry->layer = image->layer;
	if (old)
		return image_replace(old, entry, err);
	if (image->n == image->size) {
		size_t size = image->size ? image->size * 2 : 256;

		grown = reallocarray(image->entries, size, sizeof(struct image_entry *));
		if (!grown)
			goto nomem;
		image->entries = grown;
		image->size = size;
	}
	if (!tsearch(entry, &image->index, image_compare_paths))
		goto nomem;
	image->entries[image->n++] = entry;
	return 0;
nomem:
	image_entry_free(entry);
	return error_nomem(err, "adding an entry to the image");
}

int
image_add_data(struct image *image, const char *path, uint32_t perm, const void *data, size_t n,
	       struct error *err)
{
	struct image_entry *entry = image_prepare(image, path, S_IFREG | (perm & 07777), err);

	if (!entry)
		return -1;
	if (n) {
		entry->data = malloc(n);
		if (!entry->data) {
			image_entry_free(entry);
			return error_nomem(err, "adding a file to the image");
		}
		memcpy(entry->data, data, n);
		entry->size = n;
	}
	return image_insert(image, entry, err);
}

int
image_add_symlink(struct image *image, const char *path, const char *target, struct error *err)
{
	struct image_entry *entry;
	size_t n = strlen(target);

	if (n == 0 || n >= PATH_MAX)
		return image_path_failed(err, path, "length of the target not in 1..4095 bytes");
	entry = image_prepare(image, path, S_IFLNK | 0777, err);
	if (!entry)
		return -1;
	entry->data = (uint8_t *)strdup(target);
	if (!entry->data) {
		image_entry_free(entry);
		return error_nomem(err, "adding a symlink to the image");
	}
	entry->size = n;
	return image_insert(image, entry, err);
}

int
image_add_node(struct image *image, const char *path, uint32_t mode, uint32_t dev_major,
	       uint32_t dev_minor, struct error *err)
{
	struct image_entry *entry;

	if (!S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return image_path_failed(err, path, "not a device, fifo or socket");
	entry = image_prepare(image, path, mode & (S_IFMT | 07777), err);
	if (!entry)
		return -1;
	entry->dev_major = dev_major;
	entry->dev_minor = dev_minor;
	return image_insert(image, entry, err);
}

int
image_add_file(struct image *image, const char *path, uint32_t perm, const char *source,
	       struct error *err)
{
	struct image_entry *entry;
	struct stat st;

	if (stat(source, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to stat %s", source);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a regular file", source);
	if (st.st_size > UINT32_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s has %lld bytes, more than the 4 GiB of an archive member",
				 source, (long long)st.st_size);
	entry = image_prepare(image, path, S_IFREG | (perm & 07777), err);
	if (!entry)
		return -1;
	entry->size = (uint64_t)st.st_size;
	entry->seen = st;
	entry->source = strdup(source);
	if (!entry->source) {
		image_entry_free(entry);
		return error_nomem(err, "adding a file to the image");
	}
	return image_insert(image, entry, err);
}

static int
image_copy_xattrs(struct image *image, const struct image_entry *from, const char *path,
		  struct error *err)
{
	for (const struct image_xattr *x = from->xattrs; x; x = x->next) {
		if (image_set_xattr(image, path, x->name, x->value, x->n, err) < 0)
			return -1;
	}
	return 0;
}

int
image_add_link(struct image *image, const char *path, const char *target, struct error *err)
{
	struct image_entry *old = image_find(image, target), *entry;

	if (!old)
		return error_set(err, ERROR_NOT_FOUND,
				 "failed to link %.200s to %.200s: not in the image", path, target);
	if (S_ISDIR(old->mode))
		return image_path_failed(err, path, "hard link to a directory");
	if (image_find(image, path) == old)
		return 0;
	entry = image_prepare(image, path, old->mode, err);
	if (!entry)
		return -1;
	entry->uid = old->uid;
	entry->gid = old->gid;
	entry->dev_major = old->dev_major;
	entry->dev_minor = old->dev_minor;
	entry->size = old->size;
	entry->seen = old->seen;
	if (old->source)
		entry->source = strdup(old->source);
	if (old->data)
		entry->data = malloc(old->size + 1);
	if ((old->source && !entry->source) || (old->data && !entry->data)) {
		image_entry_free(entry);
		return error_nomem(err, "adding a hard link to the image");
	}
	/* The target of a symlink has a NUL. */
	if (old->data)
		memcpy(entry->data, old->data, old->size + (S_ISLNK(old->mode) ? 1 : 0));
	if (!old->link_group)
		old->link_group = ++image->n_link_groups;
	entry->link_group = old->link_group;
	if (image_insert(image, entry, err) < 0)
		return -1;
	return image_copy_xattrs(image, old, path, err);
}

static bool
image_is_below(const struct image_entry *entry, const char *dir, size_t n)
{
	return n == 0 || (!strncmp(entry->path, dir, n) && entry->path[n] == '/');
}

/* Keeps the directories above an entry that stays. */
static void
image_spare_parents(struct image *image, const struct image_entry *entry)
{
	char prefix[PATH_MAX];
	struct image_entry *dir;
	size_t n = strlen(entry->path);

	memcpy(prefix, entry->path, n + 1);
	while (strrchr(prefix, '/')) {
		image_drop_last(prefix);
		dir = image_find_exact(image, prefix);
		if (dir)
			dir->is_doomed = false;
	}
}

int
image_remove(struct image *image, const char *path, bool below_only, struct error *err)
{
	char full[PATH_MAX];
	struct image_entry *entry;
	size_t n, kept = 0;

	if (image_canonical(image, path, false, full, err) < 0)
		return -1;
	n = strlen(full);
	entry = image_find_exact(image, full);
	if (n && (!entry || (below_only && !S_ISDIR(entry->mode))))
		return 0;
	if (entry)
		entry->is_doomed = !below_only && entry->layer < image->layer;
	for (size_t i = 0; (!n || S_ISDIR(entry->mode)) && i < image->n; i++) {
		struct image_entry *e = image->entries[i];

		if (image_is_below(e, full, n))
			e->is_doomed = e->layer < image->layer;
	}
	for (size_t i = 0; (!n || S_ISDIR(entry->mode)) && i < image->n; i++) {
		if (image_is_below(image->entries[i], full, n) && !image->entries[i]->is_doomed)
			image_spare_parents(image, image->entries[i]);
	}
	for (size_t i = 0; i < image->n; i++) {
		struct image_entry *e = image->entries[i];

		if (e->is_doomed) {
			(void)tdelete(e, &image->index, image_compare_paths);
			image_entry_free(e);
		} else {
			image->entries[kept++] = e;
		}
	}
	image->n = kept;
	return 0;
}

int
image_set_owner(struct image *image, const char *path, uint32_t uid, uint32_t gid,
		struct error *err)
{
	struct image_entry *entry = image_find(image, path);

	if (!entry)
		return error_set(err, ERROR_NOT_FOUND,
				 "failed to set the owner of %.200s: not in the image", path);
	if (entry->uid != uid || entry->gid != gid)
		entry->link_group = 0;
	entry->uid = uid;
	entry->gid = gid;
	return 0;
}

int
image_set_xattr(struct image *image, const char *path, const char *name, const void *value,
		size_t n, struct error *err)
{
	struct image_entry *entry = image_find(image, path);
	struct image_xattr **at, *xattr;
	uint8_t *copy;

	if (!entry)
		return error_set(err, ERROR_NOT_FOUND,
				 "failed to set %s of %.200s: not in the image", name, path);
	copy = malloc(n ? n : 1);
	if (!copy)
		return error_nomem(err, "setting an extended attribute");
	memcpy(copy, value, n);
	at = &entry->xattrs;
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	xattr = *at;
	if (!xattr || strcmp(xattr->name, name) != 0) {
		xattr = calloc(1, sizeof(*xattr));
		if (xattr)
			xattr->name = strdup(name);
		if (!xattr || !xattr->name) {
			free(xattr);
			free(copy);
			return error_nomem(err, "setting an extended attribute");
		}
		xattr->next = *at;
		*at = xattr;
	}
	free(xattr->value);
	xattr->value = copy;
	xattr->n = n;
	return 0;
}

int
image_open_source(const struct image_entry *entry, struct error *err)
{
	struct stat st;
	int fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", entry->source);
	if (fstat(fd, &st) < 0) {
		error_sys(err, "failed to stat %s", entry->source);
	} else if (st.st_dev != entry->seen.st_dev || st.st_ino != entry->seen.st_ino ||
		   st.st_size != entry->seen.st_size ||
		   st.st_mtim.tv_sec != entry->seen.st_mtim.tv_sec ||
		   st.st_mtim.tv_nsec != entry->seen.st_mtim.tv_nsec) {
		error_set(err, ERROR_ABORTED,
			  "failed to read %s: file changed while the image was being built",
			  entry->source);
	} else {
		return fd;
	}
	(void)close(fd);
	return -1;
}

/* Returns whether one of the parents of a path has been removed. */
static bool
image_is_orphan(const struct image *image, const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return false;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	return !image_find_exact(image, parent);
}

size_t
image_filter(struct image *image, bool (*keeps)(const struct image_entry *entry, void *data),
	     void *data)
{
	size_t kept = 0, removed;

	/* Parents come first. */
	image_sort(image);
	for (size_t i = 0; i < image->n; i++) {
		struct image_entry *entry = image->entries[i];

		if (keeps(entry, data) && !image_is_orphan(image, entry->path)) {
			image->entries[kept++] = entry;
			continue;
		}
		(void)tdelete(entry, &image->index, image_compare_paths);
		image_entry_free(entry);
	}
	removed = image->n - kept;
	image->n = kept;
	return removed;
}

struct image_links *
image_links(const struct image *image, struct error *err)
{
	struct image_links *links = calloc((size_t)image->n_link_groups + 1, sizeof(*links));

	if (!links) {
		error_nomem(err, "finding hard links");
		return NULL;
	}
	for (size_t i = 0; i < image->n; i++) {
		struct image_links *group = &links[image->entries[i]->link_group];

		if (!image->entries[i]->link_group)
			continue;
		if (!group->n++)
			group->first = i;
		group->last = i;
	}
	return links;
}
