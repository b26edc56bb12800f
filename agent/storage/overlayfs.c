/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlayfs: layers that lie at paths of the guest (the mount points of earlier storages, or
 * directories of a share), stacked into one tree. Without upperdir the tree is read-only.
 *
 * Each layer is opened once, by the rules for paths that a host gives, and named to the kernel by
 * its descriptor: a container that writes to a share cannot exchange a layer for a symbolic link,
 * and a list of layers takes few bytes of the one page that mount(2) accepts, however long their
 * names are.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/mount_point.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/path.h"

/* The option of a host that wants a writable layer in the guest's memory. */
#define RW_OPTION "io.katacontainers.fs-opt.overlay-rw"
/* A driver option: a directory, such as an upperdir, to create first. */
#define CREATE_OPTION "io.katacontainers.volume.overlayfs.create_directory="

/* The kernel's limit of layers, and the two directories of a writable overlay. */
#define LAYERS_MAX (500 + 2)

/* Bytes of "/proc/self/fd/N:" */
#define LAYER_NAME 24

/* The directories of a writable layer in the guest's memory, below RUN_DIR/OWNER. */
static const char *const memory_layer[] = { "upper", "work" };

/* The options of one overlay, as they are gathered. */
struct overlay {
	const struct storage_mount *m;
	int fds[LAYERS_MAX];
	size_t n_fds;
	/* The "lowerdir=", "upperdir=" and "workdir=" for the kernel. */
	char *lower;
	char upper[LAYER_NAME + 16], work[LAYER_NAME + 16];
	/* The other options, one word each: pointers into `words`. */
	const char **rest;
	size_t n_rest;
	char *words;
};

static int overlay_directories(struct worker *w, struct overlay *o, struct error *err);
static int overlay_options(struct overlay *o, struct error *err);
static int overlay_layers(struct overlay *o, const char *list, struct error *err);
static int overlay_memory_layer(struct worker *w, struct overlay *o, struct error *err);
static void overlay_release(struct overlay *o);

/* Returns the length of the option at s: up to a comma that no backslash precedes. */
static size_t
option_length(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != ',')
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return n;
}

/* Returns the value of the first option "key=VALUE", also inside a list joined by commas, NULL if
 * there is none. */
static const char *
find_option(const struct storage_spec *spec, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < spec->n_options; i++) {
		for (const char *s = spec->options[i]; *s;) {
			if (strncmp(s, key, len) == 0)
				return s + len;
			s += option_length(s);
			s += *s == ',';
		}
	}
	return NULL;
}

static int
overlayfs_check(const struct storage_spec *spec, struct error *err)
{
	const char *lower = find_option(spec, "lowerdir=");
	bool has_upper = find_option(spec, "upperdir=") != NULL;
	bool has_work = find_option(spec, "workdir=") != NULL;

	if (!lower || option_length(lower) == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: overlayfs requires the option lowerdir",
				 spec->mount_point);
	if (has_upper != has_work)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: overlayfs requires upperdir and workdir together",
				 spec->mount_point);
	if (has_upper && find_option(spec, RW_OPTION))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: upperdir and " RW_OPTION " exclude each other",
				 spec->mount_point);
	for (size_t i = 0; i < spec->n_driver_options; i++) {
		const char *option = spec->driver_options[i];

		if (strncmp(option, CREATE_OPTION, strlen(CREATE_OPTION)) == 0 &&
		    !storage_is_plain_path(option + strlen(CREATE_OPTION)))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "storage %s: invalid directory to create \"%.128s\"",
					 spec->mount_point, option + strlen(CREATE_OPTION));
	}
	return 0;
}

static int
mount_overlayfs(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_source source = { .name = "overlay", .type = "overlay" };
	struct storage_spec spec = *m->spec;
	struct storage_mount mine = *m;
	struct overlay o = { .m = m };
	int r = -1;

	if (overlay_directories(w, &o, err) < 0 || overlay_options(&o, err) < 0)
		goto out;
	if (find_option(m->spec, RW_OPTION) && overlay_memory_layer(w, &o, err) < 0)
		goto out;
	if (o.n_fds < 2) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "an overlay without upperdir requires two layers");
		goto out;
	}
	o.rest[o.n_rest++] = o.lower;
	if (*o.upper) {
		o.rest[o.n_rest++] = o.upper;
		o.rest[o.n_rest++] = o.work;
	}
	spec.options = o.rest;
	spec.n_options = o.n_rest;
	mine.spec = &spec;
	r = storage_mount_common(w, &mine, &source, NULL, err);
out:
	overlay_release(&o);
	return r;
}

/* Creates the directories that the host asks for. */
static int
overlay_directories(struct worker *w, struct overlay *o, struct error *err)
{
	const struct storage_spec *spec = o->m->spec;

	for (size_t i = 0; i < spec->n_driver_options; i++) {
		const char *option = spec->driver_options[i];
		struct storage_place place;
		int r;

		if (strncmp(option, CREATE_OPTION, strlen(CREATE_OPTION)) != 0)
			continue;
		r = storage_make_directory(w, o->m->roots, option + strlen(CREATE_OPTION), &place,
					   err);
		storage_place_release(&place);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* Opens a layer. Returns its index in o->fds, or -1. */
static int
overlay_open(struct overlay *o, const char *path, struct error *err)
{
	struct stat st;
	int fd;

	if (o->n_fds == LAYERS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "an overlay has at most %d layers",
				 LAYERS_MAX - 2);
	if (*path != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid layer \"%.128s\": must be an absolute path", path);
	fd = roots_open_path(o->m->roots, path);
	if (fd < 0)
		return error_sys(err, "failed to open layer %s", path);
	o->fds[o->n_fds] = fd;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat layer %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "layer %s is not a directory", path);
	return (int)o->n_fds++;
}

/* Opens the directory of "upperdir=" or "workdir=" and writes the option for the kernel. */
static int
overlay_writable(struct overlay *o, const char *key, char *path, char *out, size_t size,
		 struct error *err)
{
	char name[64], *to = path;
	int i;

	for (const char *p = path; *p; p++) {
		p += *p == '\\' && p[1];
		*to++ = *p;
	}
	*to = '\0';
	i = overlay_open(o, path, err);
	if (i < 0)
		return -1;
	(void)snprintf(out, size, "%s%s", key, path_of_fd(o->fds[i], name));
	return 0;
}

/* Sorts the options: layers are opened, all others kept. */
static int
overlay_options(struct overlay *o, struct error *err)
{
	const struct storage_spec *spec = o->m->spec;
	size_t size = 1, most = 3;
	char *at;

	for (size_t i = 0; i < spec->n_options; i++) {
		size += strlen(spec->options[i]) + 1;
		for (const char *s = spec->options[i]; *s; s++)
			most += *s == ',';
		most++;
	}
	o->words = at = malloc(size);
	o->rest = calloc(most, sizeof(*o->rest));
	if (!at || !o->rest)
		return error_nomem(err, "reading the options of an overlay");
	for (size_t i = 0; i < spec->n_options; i++) {
		for (const char *s = spec->options[i]; *s;) {
			size_t n = option_length(s);
			char *word = at;
			int r = 0;

			memcpy(word, s, n);
			word[n] = '\0';
			at += n + 1;
			s += n + (s[n] == ',');
			if (strncmp(word, "lowerdir=", strlen("lowerdir=")) == 0)
				r = overlay_layers(o, word + strlen("lowerdir="), err);
			else if (strncmp(word, "upperdir=", strlen("upperdir=")) == 0)
				r = overlay_writable(o, "upperdir=", word + strlen("upperdir="),
						     o->upper, sizeof(o->upper), err);
			else if (strncmp(word, "workdir=", strlen("workdir=")) == 0)
				r = overlay_writable(o, "workdir=", word + strlen("workdir="),
						     o->work, sizeof(o->work), err);
			else if (n > 0)
				o->rest[o->n_rest++] = word;
			if (r < 0)
				return -1;
		}
	}
	return 0;
}

/* Opens the layers of "lowerdir=" and writes the option for the kernel. Layers are separated by
 * ":", or "::" before layers of data only; a backslash makes the next character part of a name. */
static int
overlay_layers(struct overlay *o, const char *list, struct error *err)
{
	size_t len = strlen(list), size, used;
	char path[PATH_MAX], name[64];

	free(o->lower);
	/* At least one byte of the list for each layer. */
	size = sizeof("lowerdir=") + (len + 1) * LAYER_NAME;
	o->lower = malloc(size);
	if (!o->lower)
		return error_nomem(err, "reading the layers of an overlay");
	used = (size_t)snprintf(o->lower, size, "lowerdir=");
	while (*list) {
		size_t n = 0;
		int i;

		while (*list == ':')
			o->lower[used++] = *list++;
		for (; *list && *list != ':'; list++) {
			list += *list == '\\' && list[1];
			if (n == sizeof(path) - 1)
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "layer %.64s... has too long a name", path);
			path[n++] = *list;
		}
		path[n] = '\0';
		i = overlay_open(o, path, err);
		if (i < 0)
			return -1;
		used += (size_t)snprintf(o->lower + used, size - used, "%s",
					 path_of_fd(o->fds[i], name));
	}
	return 0;
}

/* Makes the writable layer in the guest's memory, in the container's own directory, which is
 * removed with the container. */
static int
overlay_memory_layer(struct worker *w, struct overlay *o, struct error *err)
{
	char *const out[] = { o->upper, o->work };
	char path[PATH_MAX], name[64];

	if (!*o->m->owner)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 RW_OPTION " requires a storage of a container");
	for (size_t i = 0; i < ARRAY_LEN(memory_layer); i++) {
		struct storage_place place;
		int fd = -1, r;

		(void)snprintf(path, sizeof(path), RUN_DIR "/%s/%s", o->m->owner, memory_layer[i]);
		r = storage_make_directory(w, o->m->roots, path, &place, err);
		if (r == 0)
			fd = steal_fd(&place.fd);
		storage_place_release(&place);
		if (fd < 0)
			return -1;
		if (o->n_fds == LAYERS_MAX) {
			close_fd(&fd);
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "an overlay has at most %d layers", LAYERS_MAX - 2);
		}
		o->fds[o->n_fds++] = fd;
		(void)snprintf(out[i], sizeof(o->upper), "%sdir=%s", memory_layer[i],
			       path_of_fd(fd, name));
	}
	return 0;
}

static void
overlay_release(struct overlay *o)
{
	for (size_t i = 0; i < o->n_fds; i++)
		close_fd(&o->fds[i]);
	free(o->lower);
	free(o->words);
	free(o->rest);
}

/* Removes a directory below RUN_DIR if it takes the guest's memory, and parents that are empty then,
 * but no entry of RUN_DIR itself. Each parent is opened without following links, since a container
 * may write to a directory on the path. */
static void
overlay_remove(struct worker *w, const struct roots *roots, const char *name)
{
	struct error err = ERROR_INIT;
	char path[PATH_MAX], *slash;
	bool is_first = true;

	(void)snprintf(path, sizeof(path), "%s", name);
	while ((slash = strrchr(path, '/'))) {
		struct stat st, top;
		auto_close int dir = -1;

		*slash = '\0';
		dir = path_try_open(roots->run, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
		/* A directory on a volume or a share belongs to that. */
		if (dir < 0 || fstatat(dir, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fstat(roots->run, &top) < 0 || st.st_dev != top.st_dev)
			return;
		if (!is_first && unlinkat(dir, slash + 1, AT_REMOVEDIR) < 0)
			return;
		if (is_first && path_remove_tree(dir, slash + 1, &err) < 0) {
			worker_log(w, LOG_LEVEL_WARN, "failed to remove " RUN_DIR "/%s: %s", name,
				   err.msg);
			return;
		}
		is_first = false;
	}
}

static void
overlay_unmounted(struct worker *w, const struct storage_mount *m)
{
	const size_t run = strlen(CREATE_OPTION RUN_DIR "/");
	char path[PATH_MAX];

	for (size_t i = 0; i < m->spec->n_driver_options; i++)
		if (strncmp(m->spec->driver_options[i], CREATE_OPTION RUN_DIR "/", run) == 0)
			overlay_remove(w, m->roots, m->spec->driver_options[i] + run);
	if (!find_option(m->spec, RW_OPTION))
		return;
	for (size_t i = 0; i < ARRAY_LEN(memory_layer); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", m->owner, memory_layer[i]);
		overlay_remove(w, m->roots, path);
	}
}

const struct storage_driver storage_overlayfs = {
	.name = "overlayfs",
	.check = overlayfs_check,
	.mount = mount_overlayfs,
	.unmounted = overlay_unmounted,
};
