/* SPDX-License-Identifier: Apache-2.0 */
/* See load.h. */
#include "agent/cdi/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/cdi/edits.h"
#include "agent/cdi/spec.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/yaml.h"

#define WATCHED                                                                                  \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | \
	 IN_MOVE_SELF)

static const struct {
	const char *path;
	unsigned int priority;
} directories[] = {
	{ "/etc/cdi", 0 },
	{ "/run/cdi", 1 },
	{ "/var/run/cdi", 1 },
};

#define DIRECTORIES "/etc/cdi and /var/run/cdi"

struct load_file {
	const char *path;
	unsigned int priority;
	struct cdi_spec spec;
	/* The reason why it is left out; "": it is valid. */
	const char *error;
	/* Its changes for all devices were added. */
	bool is_used;
};

struct load {
	struct arena *arena;
	const struct cdi_request *request;
	struct load_file *files;
	size_t n;
	struct cdi_loaded *out;
};

static int load_read_directory(struct load *l, const char *path, unsigned int priority, int fd,
			       struct error *err);
static int load_read_file(struct load *l, const char *directory, const char *name,
			  unsigned int priority, struct error *err);
static int load_collect(struct load *l, struct cdi_edits *edits, struct error *err);
static int load_resolve_nodes(struct load *l, struct cdi_edits *edits, struct error *err);

/* ---- watches ---- */

/* Adds a watch of a directory. A container may have taken all watches. */
static void
load_watch(const struct load *l, int fd)
{
	char name[64];

	if (l->request->inotify < 0 ||
	    inotify_add_watch(l->request->inotify, path_of_fd(fd, name), WATCHED) < 0)
		l->out->is_unwatched = true;
}

/* Opens a directory and watches it; if it does not exist, the closest one above it. Returns its
 * descriptor, -1 if it does not exist, or -2 and err. */
static int
load_open_watched(const struct load *l, const char *path, struct error *err)
{
	char above[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(above))
		return -1;
	memcpy(above, path, n + 1);
	for (;;) {
		auto_close int fd = roots_open_path(l->request->roots, above[0] ? above : "/");

		if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
			error_sys(err, "failed to open %s", above[0] ? above : "/");
			return -2;
		}
		if (fd >= 0) {
			load_watch(l, fd);
			if (strcmp(above, path) == 0)
				return steal_fd(&fd);
			/* A directory that was made before the watch is not reported by it. */
			memcpy(above, path, n + 1);
			close_fd(&fd);
			fd = roots_open_path(l->request->roots, above);
			if (fd < 0)
				return -1;
			continue;
		}
		if (!above[0])
			return -1;
		*strrchr(above, '/') = '\0';
	}
}

/* ---- files ---- */

static int
load_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
load_is_spec(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcmp(dot, ".json") == 0 || strcmp(dot, ".yaml") == 0);
}

int
cdi_load(struct arena *arena, const struct cdi_request *r, struct cdi_loaded *out,
	 struct error *err)
{
	struct load l = { .arena = arena, .request = r, .out = out };
	struct cdi_edits *edits = arena_zalloc(arena, 1, sizeof(*edits));
	struct stat seen[ARRAY_LEN(directories)];
	size_t n_seen = 0;

	*out = (struct cdi_loaded){ .state = CDI_FOUND };
	l.files = arena_zalloc(arena, CDI_FILES_MAX, sizeof(*l.files));
	if (!edits || !l.files)
		return error_nomem(err, "reading CDI specs");
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		auto_close int fd = load_open_watched(&l, directories[i].path, err);
		struct stat *st = &seen[n_seen];
		bool is_new = true;

		if (fd == -2)
			return -1;
		if (fd < 0 || fstat(fd, st) < 0 || !S_ISDIR(st->st_mode))
			continue;
		/* /var/run is mostly a link to /run. */
		for (size_t k = 0; k < n_seen; k++)
			is_new = is_new &&
				 !(seen[k].st_dev == st->st_dev && seen[k].st_ino == st->st_ino);
		if (!is_new)
			continue;
		n_seen++;
		if (load_read_directory(&l, directories[i].path, directories[i].priority, fd, err) <
		    0)
			return -1;
	}
	if (load_collect(&l, edits, err) < 0)
		return -1;
	if (out->state != CDI_FOUND)
		return 0;
	return load_resolve_nodes(&l, edits, err);
}

static int
load_read_directory(struct load *l, const char *path, unsigned int priority, int fd,
		    struct error *err)
{
	int again = path_reopen(fd, O_RDONLY | O_DIRECTORY);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	char *names[CDI_FILES_MAX];
	size_t n = 0;
	int result = 0;
	struct dirent *entry;

	if (!dir) {
		error_sys(err, "failed to read %s", path);
		close_fd(&again);
		return -1;
	}
	while (result == 0 && (entry = readdir(dir)) != NULL) {
		if (!load_is_spec(entry->d_name))
			continue;
		if (l->n + n == CDI_FILES_MAX)
			result = error_set(err, ERROR_RESOURCE_EXHAUSTED,
					   "%s: more than %d CDI specs", path, CDI_FILES_MAX);
		else if (!(names[n++] = arena_strdup(l->arena, entry->d_name)))
			result = error_nomem(err, "reading CDI specs");
	}
	(void)closedir(dir);
	qsort(names, result == 0 ? n : 0, sizeof(names[0]), load_compare_names);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = load_read_file(l, path, names[i], priority, err);
	return result;
}

/* Reads the whole file. Returns its text, which the caller frees, and its size; or NULL and err.
 * Neither is set for a directory. */
static char *
load_read_text(const struct load *l, const char *path, size_t *size, struct error *err)
{
	auto_close int fd = roots_open_path(l->request->roots, path);
	auto_close int in = -1;
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		/* It may have been removed since. */
		if (errno != ENOENT)
			error_sys(err, "failed to open it");
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		error_set(err, ERROR_INVALID_ARGUMENT, "not a regular file");
		return NULL;
	}
	in = path_reopen(fd, O_RDONLY);
	text = in < 0 ? NULL : malloc(CDI_FILE_MAX + 1);
	n = text ? read_full(in, text, CDI_FILE_MAX + 1) : -1;
	if (n < 0) {
		error_sys(err, "failed to read it");
		free(text);
		return NULL;
	}
	*size = (size_t)n;
	if (*size <= CDI_FILE_MAX)
		return text;
	error_set(err, ERROR_INVALID_ARGUMENT, "larger than %zu bytes", CDI_FILE_MAX);
	free(text);
	return NULL;
}

/* Reads one file and adds it to the list, with its error if it is invalid. */
static int
load_read_file(struct load *l, const char *directory, const char *name, unsigned int priority,
	       struct error *err)
{
	struct load_file *file = &l->files[l->n];
	struct error why = ERROR_INIT;
	const struct yaml_node *document = NULL;
	auto_free char *text = NULL;
	size_t size = 0;

	*file = (struct load_file){ .path = arena_printf(l->arena, "%s/%s", directory, name),
				    .priority = priority,
				    .error = "" };
	if (!file->path)
		return error_nomem(err, "reading CDI specs");
	text = load_read_text(l, file->path, &size, &why);
	if (!text && why.code == ERROR_OK)
		return 0;
	if (text)
		document = yaml_parse(l->arena, text, size, &why);
	if (document)
		(void)cdi_spec_read(document, &file->spec, &why);
	if (why.code != ERROR_OK)
		file->error =
			arena_printf(l->arena, "invalid CDI spec %s: %s", file->path, why.msg);
	if (!file->error)
		return error_nomem(err, "reading CDI specs");
	l->n++;
	return 0;
}

/* ---- devices ---- */

/* Notes why the devices are not complete; the first reason counts. */
static void
load_miss(struct load *l, enum cdi_state state, const struct error *why)
{
	if (l->out->state != CDI_FOUND)
		return;
	l->out->state = state;
	(void)snprintf(l->out->why, sizeof(l->out->why), "%s", why->msg);
}

/* Finds the spec that has the device with the highest priority. Returns NULL and notes the reason,
 * or sets err. */
static struct load_file *
load_find(struct load *l, const struct cdi_name *name, struct error *err)
{
	struct load_file *best = NULL, *other = NULL;
	const char *invalid = NULL;
	bool has_kind = false;
	struct error why = ERROR_INIT;

	for (size_t i = 0; i < l->n; i++) {
		struct load_file *file = &l->files[i];
		bool is_kind = file->spec.kind && strcmp(file->spec.kind, name->kind) == 0;

		if (*file->error && (!invalid || is_kind))
			invalid = file->error;
		has_kind = has_kind || is_kind;
		if (*file->error || !is_kind || !cdi_spec_device(&file->spec, name->device))
			continue;
		if (best && best->priority > file->priority)
			continue;
		other = best && best->priority == file->priority ? best : NULL;
		best = file;
	}
	if (other) {
		error_set(err, ERROR_FAILED_PRECONDITION, "CDI device %s=%s is in both %s and %s",
			  name->kind, name->device, other->path, best->path);
		return NULL;
	}
	if (best)
		return best;
	error_set(&why, ERROR_NOT_FOUND, "%s in " DIRECTORIES " has %s %s%s%s",
		  has_kind ? "no CDI spec of its kind" : "no CDI spec",
		  has_kind ? "device" : "kind", has_kind ? name->device : name->kind,
		  invalid ? "; " : "", invalid ? invalid : "");
	error_wrap(&why, "CDI device %s=%s", name->kind, name->device);
	load_miss(l, has_kind ? CDI_MISSING_DEVICE : CDI_MISSING, &why);
	return NULL;
}

/* Collects the changes for all devices. */
static int
load_collect(struct load *l, struct cdi_edits *edits, struct error *err)
{
	const struct cdi_names *names = l->request->names;

	if (cdi_edits_init(edits, l->arena, err) < 0)
		return -1;
	for (size_t i = 0; i < names->n; i++) {
		struct load_file *file = load_find(l, &names->list[i], err);
		const struct yaml_node *device;

		if (!file && err->code != ERROR_OK)
			return -1;
		if (!file)
			continue;
		device = cdi_spec_device(&file->spec, names->list[i].device);
		if ((!file->is_used && file->spec.edits &&
		     cdi_edits_add(edits, file->spec.edits, file->spec.version, err) < 0) ||
		    cdi_edits_add(edits, cdi_device_edits(device), file->spec.version, err) < 0)
			return error_wrap(err, "CDI device %s=%s: %s", names->list[i].kind,
					  names->list[i].device, file->path);
		file->is_used = true;
	}
	for (size_t i = 0; l->out->state == CDI_FOUND && i < l->n; i++) {
		if (*l->files[i].error)
			(void)snprintf(l->out->why, sizeof(l->out->why), "%s", l->files[i].error);
	}
	return 0;
}

/* ---- nodes ---- */

static const char *
load_type_of(mode_t mode)
{
	return S_ISBLK(mode) ? "b" : S_ISCHR(mode) ? "c" : S_ISFIFO(mode) ? "p" : "";
}

/* Watches the directory that a missing node will be in, and returns its state again: 0 if it exists
 * now, or -1 and errno. */
static int
load_watch_node(const struct load *l, const char *path, int root, const char *below,
		struct stat *st, struct error *err)
{
	char parent[PATH_MAX];
	auto_close int dir = -1;
	auto_close int fd = -1;

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	dir = load_open_watched(l, parent, err);
	if (dir == -2)
		return -1;
	fd = path_try_open(root, below, O_PATH, 0, PATH_FOLLOW_NONE);
	return fd < 0 ? -1 : fstat(fd, st);
}

/* Fills in what the spec does not say about a node, from the guest's. No link is followed, so that
 * the node is that of its name. */
static int
load_resolve_node(struct load *l, struct cdi_node *node, struct error *err)
{
	Grpc__LinuxDevice *d = &node->device;
	const char *path = node->host_path;
	bool in_dev = strncmp(path, "/dev/", 5) == 0;
	int root = in_dev ? l->request->roots->dev : l->request->roots->root;
	const char *below = in_dev ? path + 5 : path;
	bool is_complete = *d->type && (d->major != 0 || strcmp(d->type, "p") == 0);
	auto_close int fd = path_try_open(root, below, O_PATH, 0, PATH_FOLLOW_NONE);
	struct stat st;
	const char *type;

	if (fd < 0 && is_complete)
		return 0;
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		return error_sys_code(err, ERROR_FAILED_PRECONDITION,
				      "CDI: failed to open device node %s", path);
	if (fd < 0 ? load_watch_node(l, path, root, below, &st, err) < 0 : fstat(fd, &st) < 0) {
		struct error why = ERROR_INIT;

		if (err->code != ERROR_OK)
			return -1;
		error_set(&why, ERROR_NOT_FOUND, "CDI: device node %s does not exist", path);
		load_miss(l, CDI_MISSING, &why);
		return 0;
	}
	type = load_type_of(st.st_mode);
	if (!is_complete && (!*type || (*d->type && strcmp(d->type, type) != 0)))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "CDI: %s is not a device node of type \"%s\"", path,
				 *d->type ? d->type : "b or c");
	if (*type && !node->has_mode)
		d->filemode = st.st_mode & 0777;
	if (is_complete)
		return 0;
	d->type = (char *)(uintptr_t)type;
	if (d->major == 0 && strcmp(type, "p") != 0) {
		d->major = major(st.st_rdev);
		d->minor = minor(st.st_rdev);
	}
	return 0;
}

/* Resolves all nodes, and completes the result. */
static int
load_resolve_nodes(struct load *l, struct cdi_edits *edits, struct error *err)
{
	size_t n = edits->n_nodes;
	Grpc__Linux *out = arena_zalloc(l->arena, 1, sizeof(*out));
	Grpc__LinuxResources *resources = arena_zalloc(l->arena, 1, sizeof(*resources));
	Grpc__LinuxDeviceCgroup *rules = arena_zalloc(l->arena, n + 1, sizeof(*rules));

	if (!out || !resources || !rules)
		return error_nomem(err, "reading CDI specs");
	grpc__linux__init(out);
	grpc__linux_resources__init(resources);
	out->resources = resources;
	out->devices = arena_zalloc(l->arena, n + 1, sizeof(*out->devices));
	resources->devices = arena_zalloc(l->arena, n + 1, sizeof(*resources->devices));
	if (!out->devices || !resources->devices)
		return error_nomem(err, "reading CDI specs");
	for (size_t i = 0; i < n; i++) {
		struct cdi_node *node = edits->nodes[i];
		Grpc__LinuxDeviceCgroup *rule = &rules[i];

		if (load_resolve_node(l, node, err) < 0)
			return -1;
		if (!node->has_uid)
			node->device.uid = l->request->uid;
		if (!node->has_gid)
			node->device.gid = l->request->gid;
		out->devices[out->n_devices++] = &node->device;
		if (strcmp(node->device.type, "p") == 0 || strcmp(node->access, "none") == 0)
			continue;
		grpc__linux_device_cgroup__init(rule);
		rule->allow = true;
		rule->type = node->device.type;
		rule->major = node->device.major;
		rule->minor = node->device.minor;
		rule->access = (char *)(uintptr_t)(*node->access ? node->access : "rwm");
		resources->devices[resources->n_devices++] = rule;
	}
	edits->spec.linux = out;
	l->out->edits = &edits->spec;
	return 0;
}
