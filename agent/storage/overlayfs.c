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
	/* The other options: the spec's. */
	const char **rest;
	size_t n_rest;
};

static int overlay_directories(struct worker *w, struct overlay *o, struct error *err);
static int overlay_options(struct overlay *o, struct error *err);
static int overlay_layers(struct overlay *o, const char *list, struct error *err);
static int overlay_memory_layer(struct worker *w, struct overlay *o, struct error *err);
static void overlay_release(struct overlay *o);

static int
overlayfs_check(const struct storage_spec *spec, struct error *err)
{
	const char *lower = storage_option(spec, "lowerdir");
	bool has_upper = storage_option(spec, "upperdir") != NULL;
	bool has_work = storage_option(spec, "workdir") != NULL;

	if (!lower || !*lower)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: overlayfs requires the option lowerdir",
				 spec->mount_point);
	if (has_upper != has_work)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: overlayfs requires upperdir and workdir together",
				 spec->mount_point);
	if (has_upper && storage_has_option(spec, OVERLAY_RW_OPTION))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: upperdir and " OVERLAY_RW_OPTION
				 " exclude each other",
				 spec->mount_point);
	for (size_t i = 0; i < spec->n_driver_options; i++) {
		const char *option = spec->driver_options[i];

		if (strncmp(option, OVERLAY_CREATE_OPTION, strlen(OVERLAY_CREATE_OPTION)) == 0 &&
		    !storage_is_plain_path(option + strlen(OVERLAY_CREATE_OPTION)))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "storage %s: invalid directory to create \"%.128s\"",
					 spec->mount_point, option + strlen(OVERLAY_CREATE_OPTION));
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
	if (storage_has_option(m->spec, OVERLAY_RW_OPTION) && overlay_memory_layer(w, &o, err) < 0)
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

		if (strncmp(option, OVERLAY_CREATE_OPTION, strlen(OVERLAY_CREATE_OPTION)) != 0)
			continue;
		r = storage_make_directory(w, o->m->roots, option + strlen(OVERLAY_CREATE_OPTION),
					   &place, err);
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
	o->fds[o->n_fds++] = fd;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat layer %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "layer %s is not a directory", path);
	return (int)o->n_fds - 1;
}

/* Opens the directory of "upperdir=" or "workdir=" and writes the option for the kernel. */
static int
overlay_writable(struct overlay *o, const char *key, const char *text, char *out, size_t size,
		 struct error *err)
{
	char path[PATH_MAX], name[64];
	size_t n = 0;
	int i;

	for (const char *p = text; *p; p++) {
		p += *p == '\\' && p[1];
		if (n == sizeof(path) - 1)
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s%.64s... is too long", key,
					 text);
		path[n++] = *p;
	}
	path[n] = '\0';
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

	o->rest = calloc(spec->n_options + 3, sizeof(*o->rest));
	if (!o->rest)
		return error_nomem(err, "reading the options of an overlay");
	for (size_t i = 0; i < spec->n_options; i++) {
		const char *word = spec->options[i], *value = strchr(word, '=');
		int r = 0;

		if (strncmp(word, "lowerdir=", strlen("lowerdir=")) == 0)
			r = overlay_layers(o, value + 1, err);
		else if (strncmp(word, "upperdir=", strlen("upperdir=")) == 0)
			r = overlay_writable(o, "upperdir=", value + 1, o->upper, sizeof(o->upper),
					     err);
		else if (strncmp(word, "workdir=", strlen("workdir=")) == 0)
			r = overlay_writable(o, "workdir=", value + 1, o->work, sizeof(o->work),
					     err);
		else
			o->rest[o->n_rest++] = word;
		if (r < 0)
			return -1;
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
				 OVERLAY_RW_OPTION " requires a storage of a container");
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
	free(o->rest);
}

/* Removes a directory below RUN_DIR if it takes the guest's memory, and parents that are empty
 * then, but no entry of RUN_DIR itself. Each parent is opened without following links, since a
 * container may write to a directory on the path. */
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
	const size_t run = strlen(OVERLAY_CREATE_OPTION RUN_DIR "/");
	char path[PATH_MAX];

	for (size_t i = 0; i < m->spec->n_driver_options; i++)
		if (strncmp(m->spec->driver_options[i], OVERLAY_CREATE_OPTION RUN_DIR "/", run) ==
		    0)
			overlay_remove(w, m->roots, m->spec->driver_options[i] + run);
	if (!storage_has_option(m->spec, OVERLAY_RW_OPTION))
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
