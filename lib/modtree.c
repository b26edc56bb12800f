/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a tree of kernel modules. Called by tatami-initrd and by the worker of CreateSandbox. */
#include "lib/modtree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/modtree_internal.h"

#ifndef MODULE_INIT_COMPRESSED_FILE
/* From linux/module.h, since Linux 5.17. */
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

/* modules.alias of a distribution has about 1.5 MiB. */
#define INDEX_MAX ((size_t)32 << 20)

static const char *const suffixes[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };

static int modtree_compare_names(const void *a, const void *b);
static int modtree_parse_line(struct module *module, char *line, unsigned number,
			      struct error *err);
static int modtree_load(struct modtree *tree, int dirfd, const char *dir, struct error *err);
static int modtree_read_index(const struct modtree *tree, int dirfd, const char *name, bool needed,
			      char **out, size_t *len, struct error *err);
static int modtree_read_file(int dirfd, const char *name, const char *path, char **out, size_t *len,
			     struct error *err);

size_t
modtree_suffix(const char *path, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !strncmp(path + len - n, suffixes[i], n))
			return n;
	}
	return 0;
}

bool
modtree_name(const char *path, size_t len, char out[MODULE_NAME_MAX])
{
	const char *slash = memrchr(path, '/', len);
	const char *base = slash ? slash + 1 : path;
	size_t n = len - (size_t)(base - path);

	n -= modtree_suffix(base, n);
	if (n == 0 || n >= MODULE_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = base[i] == '-' ? '_' : base[i];
	out[n] = '\0';
	return true;
}

struct module *
modtree_find(const struct modtree *tree, const char *name)
{
	struct module key = { .state = MODULE_UNSEEN };

	if (strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name) + 1);
	return bsearch(&key, tree->all, tree->n, sizeof(key), modtree_compare_names);
}

static int
modtree_compare_names(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int
modtree_parse(struct modtree *tree, struct error *err)
{
	size_t lines = 1;
	unsigned number = 0;

	if (strlen(tree->dep) != tree->dep_len)
		return error_set(err, ERROR_INVALID_ARGUMENT, "NUL byte in modules.dep");
	for (const char *c = tree->dep; (c = strchr(c, '\n')); c++)
		lines++;
	tree->all = calloc(lines, sizeof(*tree->all));
	tree->plan = calloc(lines, sizeof(struct module *));
	if (!tree->all || !tree->plan)
		return error_nomem(err, "reading modules.dep");
	for (char *line, *rest = tree->dep; (line = strsep(&rest, "\n"));) {
		number++;
		if (!*line)
			continue;
		if (modtree_parse_line(&tree->all[tree->n], line, number, err) < 0)
			return -1;
		tree->n++;
	}
	qsort(tree->all, tree->n, sizeof(*tree->all), modtree_compare_names);
	for (size_t i = 1; i < tree->n; i++) {
		if (!strcmp(tree->all[i - 1].name, tree->all[i].name))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "modules.dep lists module %s twice", tree->all[i].name);
	}
	return 0;
}

/* Checks a path, which must not contain spaces or newlines because of the format of the list. */
static bool
modtree_path_is_plain(const char *path)
{
	for (const char *c = path; *c; c++) {
		if (!isgraph((unsigned char)*c))
			return false;
	}
	return *path != '/' && !strstr(path, "..");
}

static int
modtree_parse_line(struct module *module, char *line, unsigned number, struct error *err)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return error_set(err, ERROR_INVALID_ARGUMENT, "modules.dep, line %u: no colon",
				 number);
	*colon = '\0';
	if (!modtree_suffix(line, strlen(line)) || !modtree_path_is_plain(line) ||
	    !modtree_name(line, strlen(line), module->name))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "modules.dep, line %u: \"%.80s\" is not a path of a module",
				 number, line);
	module->path = line;
	module->deps = colon + 1;
	return 0;
}

struct modtree *
modtree_open(int dirfd, const char *dir, struct error *err)
{
	struct modtree *tree = calloc(1, sizeof(*tree));

	if (!tree) {
		error_nomem(err, "reading a module tree");
		return NULL;
	}
	if (modtree_load(tree, dirfd, dir, err) < 0) {
		modtree_free(tree);
		return NULL;
	}
	return tree;
}

static int
modtree_load(struct modtree *tree, int dirfd, const char *dir, struct error *err)
{
	size_t len = strlen(dir), ignored;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	tree->dir = strndup(dir, len);
	if (!tree->dir)
		return error_nomem(err, "reading a module tree");
	tree->release = strrchr(tree->dir, '/');
	tree->release = tree->release ? tree->release + 1 : tree->dir;
	if (!modtree_path_is_plain(tree->release) || !*tree->release || !strcmp(tree->release, "."))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s: last component is not a kernel release", dir);
	if (modtree_read_index(tree, dirfd, "modules.dep", true, &tree->dep, &tree->dep_len, err) <
		    0 ||
	    modtree_read_index(tree, dirfd, "modules.softdep", false, &tree->softdep, &ignored,
			       err) < 0 ||
	    modtree_read_index(tree, dirfd, "modules.alias", false, &tree->alias, &ignored, err) <
		    0 ||
	    modtree_read_index(tree, dirfd, "modules.builtin", false, &tree->builtin, &ignored,
			       err) < 0)
		return -1;
	return modtree_parse(tree, err);
}

static int
modtree_read_index(const struct modtree *tree, int dirfd, const char *name, bool needed, char **out,
		   size_t *len, struct error *err)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s", tree->dir, name) < 0)
		return error_nomem(err, "reading a module tree");
	if (modtree_read_file(dirfd, name, path, out, len, err) == 0)
		return 0;
	if (err->code == ERROR_NOT_FOUND && !needed)
		return 0;
	if (err->code == ERROR_NOT_FOUND)
		return error_set(err, ERROR_NOT_FOUND,
				 "%s is missing; create it with: depmod -b %s/../../.. %s", path,
				 tree->dir, tree->release);
	return -1;
}

static int
modtree_read_file(int dirfd, const char *name, const char *path, char **out, size_t *len,
		  struct error *err)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	auto_free char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to read %s: not a regular file", path);
	if ((uint64_t)st.st_size > INDEX_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "failed to read %s: %lld bytes, more than the %zu allowed", path,
				 (long long)st.st_size, INDEX_MAX);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return error_nomem(err, "reading a module tree");
	n = read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return error_sys(err, "failed to read %s", path);
	text[n] = '\0';
	*len = (size_t)n;
	*out = steal_ptr(&text);
	return 0;
}

void
modtree_free(struct modtree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->n; i++)
		free(tree->all[i].params);
	free(tree->all);
	free(tree->plan);
	free(tree->dep);
	free(tree->softdep);
	free(tree->alias);
	free(tree->builtin);
	free(tree->dir);
	free(tree);
}

const char *
modtree_dir(const struct modtree *tree)
{
	return tree->dir;
}

const char *
modtree_release(const struct modtree *tree)
{
	return tree->release;
}

int
modtree_flags(const char *path)
{
	size_t n = modtree_suffix(path, strlen(path));

	return n > strlen(".ko") ? MODULE_INIT_COMPRESSED_FILE : 0;
}
