/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of a spec's mounts and opening of the sources of binds. Runs in the worker, before the
 * clone. */
#include "agent/container/rootfs/mount_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/mountopt.h"
#include "lib/path.h"

static int mount_plan_refuse(const struct container_mount *m, const char *what, struct error *err);
static int mount_plan_check_words(const struct container_mount *m, struct error *err);
static enum mount_word mount_plan_add_row(struct container_mount *m, const struct mountopt *row);
static bool mount_plan_add_recursive_word(struct container_mount *m, const char *word);
static bool mount_plan_add_own_word(struct container_mount *m, const char *word);
static bool mount_plan_is_ignored(const char *word);

int
mount_understand(const Grpc__Mount *spec, struct container_mount *out, struct error *err)
{
	bool is_cgroup = strcmp(spec->type, "cgroup") == 0 || strcmp(spec->type, "cgroup2") == 0;
	const char *data = NULL;

	*out = (struct container_mount){ .spec = spec, .kind = MOUNT_FS, .tree = -1 };
	for (size_t i = 0; i < spec->n_options; i++) {
		unsigned int n = out->n_propagation;

		if (mount_word_add(out, spec->options[i]) == MOUNT_WORD_DATA)
			data = spec->options[i];
		if (n == MOUNT_PROPAGATIONS_MAX && mountopt_find(spec->options[i]) &&
		    mountopt_find(spec->options[i])->propagation)
			return mount_plan_refuse(out, "too many propagation options", err);
	}
	if (strcmp(spec->type, "bind") == 0)
		out->kind = MOUNT_BIND;
	if (out->kind == MOUNT_FS && is_cgroup)
		out->kind = MOUNT_CGROUP;
	if (out->kind == MOUNT_BIND)
		out->ignored = data;
	return mount_plan_check_words(out, err);
}

static int
mount_plan_refuse(const struct container_mount *m, const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "mounts: %.128s: %s", m->spec->destination,
			 what);
}

/* Refuses combinations that could only be ignored. An option that changes ownership or
 * visibility must not be ignored silently. */
static int
mount_plan_check_words(const struct container_mount *m, struct error *err)
{
	bool bind = m->kind == MOUNT_BIND;

	if (m->idmap && !bind)
		return mount_plan_refuse(m, "option idmap or ridmap is valid for bind mounts only",
					 err);
	if (m->copy_up && (bind || strcmp(m->spec->type, "tmpfs") != 0))
		return mount_plan_refuse(m, "option tmpcopyup is valid for tmpfs only", err);
	if (m->remount && !bind)
		return mount_plan_refuse(m, "option remount is valid for bind mounts only", err);
	if (bind && m->spec->source[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "mounts: %.128s: bind source \"%.128s\" is not absolute",
				 m->spec->destination, m->spec->source);
	if (m->kind == MOUNT_FS && (!*m->spec->type || strcmp(m->spec->type, "none") == 0))
		return error_set(err, ERROR_INVALID_ARGUMENT, "mounts: %.128s: type is missing",
				 m->spec->destination);
	return 0;
}

enum mount_word
mount_word_add(struct container_mount *m, const char *word)
{
	const struct mountopt *row = mountopt_find(word);

	if (row)
		return mount_plan_add_row(m, row);
	if (mount_plan_add_recursive_word(m, word) || mount_plan_add_own_word(m, word))
		return MOUNT_WORD_FLAG;
	return mount_plan_is_ignored(word) ? MOUNT_WORD_IGNORED : MOUNT_WORD_DATA;
}

/* Adds the attributes of one option. The three kinds of atime exclude each other; relatime is
 * the value 0 of that field, and the kernel clears the whole field or nothing
 * (mount_setattr(2)). Returns false if the option does not set mount attributes. */
static bool
mount_plan_add_attrs(struct mount_attrs *a, unsigned long set, unsigned long clear)
{
	uint64_t add = mountopt_attrs(set), drop = mountopt_attrs(clear);

	if (((set | clear) & MOUNTOPT_ATIME) != 0) {
		a->set = (a->set & ~(uint64_t)MOUNT_ATTR__ATIME) | add;
		a->clear |= MOUNT_ATTR__ATIME;
		return true;
	}
	a->set = (a->set & ~drop) | add;
	a->clear = (a->clear & ~add) | drop;
	return add || drop;
}

/* Adds an option of mount(8)'s table. */
static enum mount_word
mount_plan_add_row(struct container_mount *m, const struct mountopt *row)
{
	unsigned long flags = row->set | row->clear;

	if (row->set & MS_BIND)
		m->kind = MOUNT_BIND;
	if (row->set & MS_REC)
		m->recursive = true;
	if (row->set & MS_REMOUNT)
		m->remount = true;
	if (row->propagation && m->n_propagation < MOUNT_PROPAGATIONS_MAX)
		m->propagation[m->n_propagation++] = row->propagation;
	(void)mount_plan_add_attrs(&m->own, row->set, row->clear);
	/* fsconfig(2) accepts these under the same name for every file system. */
	if (flags & (MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_LAZYTIME))
		return MOUNT_WORD_SUPER;
	return flags & (MS_POSIXACL | MS_I_VERSION) ? MOUNT_WORD_MAYBE : MOUNT_WORD_FLAG;
}

/* Adds a recursive option ("rro", "rnosuid", …): the name of a mount attribute after an "r". */
static bool
mount_plan_add_recursive_word(struct container_mount *m, const char *word)
{
	const struct mountopt *row = word[0] == 'r' ? mountopt_find(word + 1) : NULL;

	return row && mount_plan_add_attrs(&m->below, row->set, row->clear);
}

/* Adds an option that is a flag of neither mount(2) nor a file system. */
static bool
mount_plan_add_own_word(struct container_mount *m, const char *word)
{
	if (strcmp(word, "tmpcopyup") == 0)
		m->copy_up = true;
	else if (strcmp(word, "idmap") == 0)
		m->idmap = true;
	else if (strcmp(word, "ridmap") == 0)
		m->idmap = m->idmap_below = true;
	else
		return false;
	return true;
}

static bool
mount_plan_is_ignored(const char *word)
{
	return !*word || strncmp(word, "x-", 2) == 0 || strncmp(word, "X-", 2) == 0 ||
	       strncmp(word, "io.katacontainers.", 18) == 0;
}

bool
mount_wants_shared(const struct container_mount *m)
{
	for (unsigned int i = 0; i < m->n_propagation; i++) {
		if (m->propagation[i] & MS_SHARED)
			return true;
	}
	return false;
}

bool
mount_path_is(const char *path, const char *what)
{
	while (*path || *what) {
		/* Skips "/" before another slash or the end, and "/." likewise. */
		while (*path == '/' && (path[1] == '/' || !path[1] ||
					(path[1] == '.' && (path[2] == '/' || !path[2]))))
			path += path[1] == '.' ? 2 : 1;
		if (*path != *what)
			return false;
		if (*path) {
			path++;
			what++;
		}
	}
	return true;
}

int
mount_open_source(const struct roots *roots, const char *source, bool recursive, int *tree,
		  bool *directory, struct error *err)
{
	auto_close int fd = roots_open_path(roots, source);
	struct stat st;
	int clone;

	if (fd < 0 && errno == ELOOP)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"failed to open mount source %s: the path contains a symbolic link "
			"that a container may have created",
			source);
	if (fd < 0)
		return error_sys_code(err,
				      errno == ENOENT ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "failed to open mount source %s", source);
	if (fstat(fd, &st) < 0)
		return error_sys(err, "failed to stat mount source %s", source);
	clone = sys_open_tree(fd, "",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				      (recursive ? AT_RECURSIVE : 0));
	if (clone < 0)
		return error_sys(err, "failed to clone mount source %s", source);
	*tree = clone;
	*directory = S_ISDIR(st.st_mode);
	return 0;
}
