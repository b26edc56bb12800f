/* SPDX-License-Identifier: Apache-2.0 */
/* Loading kernel modules, or setting the parameters of those that are loaded or built in. */
#include "agent/guest/kmod.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/modtree.h"
#include "lib/path.h"
#include "lib/sys.h"

/* MODULE_NAME_LEN of the kernel, without the NUL */
#define NAME_MAX_  55
#define PARAMS_MAX 4096

static bool kmod_is_name(const char *name);
static int kmod_load_module(const struct kmod_env *env, const char *name, char *const *parameters,
			    size_t n, struct error *err);
static char *kmod_make_spec(const char *name, char *const *parameters, size_t n, struct error *err);
static bool kmod_is_loaded(const struct kmod_env *env, const char *name);
static int kmod_load_from(const struct kmod_env *env, int dir, const char *name, const char *spec,
			  char own[static NAME_MAX_ + 1], bool *was_there, struct error *err);
static int kmod_set_parameters(const struct kmod_env *env, const char *name,
			       char *const *parameters, size_t n, struct error *err);

/* Converts a module's name to the form in sysfs, in which `-` is `_`. */
static void
kmod_sysfs_name(const char *name, char out[NAME_MAX_ + 1])
{
	size_t i;

	for (i = 0; name[i]; i++)
		out[i] = name[i] == '-' ? '_' : name[i];
	out[i] = '\0';
}

int
kmod_env_init(struct kmod_env *env, int root, int sys, char release[static 65], struct error *err)
{
	struct utsname uts;

	if (uname(&uts) < 0)
		return error_sys(err, "failed to get the kernel's release");
	(void)snprintf(release, 65, "%.64s", uts.release);
	*env = (struct kmod_env){
		.root = root,
		.sys = sys,
		.release = release,
		.load = sys_finit_module,
	};
	return 0;
}

int
kmod_load(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	  struct error *err)
{
	if (kmod_load_module(env, name, parameters, n, err) < 0)
		return error_wrap(err, "failed to load kernel module %.80s", name);
	return 0;
}

int
kmod_load_for_fs(const struct kmod_env *env, const char *fstype, struct error *err)
{
	char alias[NAME_MAX_ + 1];
	int n = snprintf(alias, sizeof(alias), "fs-%s", fstype);

	if (n < 0 || (size_t)n >= sizeof(alias) || !kmod_is_name(alias))
		return error_set(err, ERROR_NOT_FOUND, "no module can have the alias fs-%.80s",
				 fstype);
	return kmod_load(env, alias, NULL, 0, err);
}

static bool
kmod_is_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	}
	return n > 0 && n <= NAME_MAX_ && name[0] != '-';
}

static int
kmod_load_module(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
		 struct error *err)
{
	auto_free char *spec = NULL;
	auto_close int dir = -1;
	char path[128], own[NAME_MAX_ + 1];
	bool was_there = true;

	if (!kmod_is_name(name) || n > KMOD_PARAMETERS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid name, or more than %d parameters", KMOD_PARAMETERS_MAX);
	spec = kmod_make_spec(name, parameters, n, err);
	if (!spec)
		return -1;
	(void)snprintf(own, sizeof(own), "%s", name);
	(void)snprintf(path, sizeof(path), "lib/modules/%s", env->release);
	dir = path_try_open(env->root, path, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (dir < 0 && !kmod_is_loaded(env, name))
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to open /%s", path);
	if (dir >= 0 && kmod_load_from(env, dir, name, spec, own, &was_there, err) < 0) {
		/* a loaded module that is not in the image's list of modules */
		if (err->code != ERROR_NOT_FOUND || !kmod_is_loaded(env, name))
			return -1;
		*err = ERROR_INIT;
	}
	return was_there ? kmod_set_parameters(env, own, parameters, n, err) : 0;
}

/* Appends "name" or "name=value" as one word: the kernel splits parameters at blanks outside of
 * quotes. */
static int
kmod_append_parameter(struct buf *words, const char *parameter)
{
	size_t name = strcspn(parameter, "=");
	bool quote = parameter[strcspn(parameter, " \t")] && !strchr(parameter, '"');

	if (buf_append(words, " ", 1) < 0 || buf_append(words, parameter, name) < 0)
		return -1;
	if (!parameter[name])
		return 0;
	if (buf_append(words, quote ? "=\"" : "=", quote ? 2 : 1) < 0 ||
	    buf_append(words, parameter + name + 1, strlen(parameter + name + 1)) < 0)
		return -1;
	return quote ? buf_append(words, "\"", 1) : 0;
}

/* Makes the "NAME PARAMETERS" for modtree_want(). The caller frees it. */
static char *
kmod_make_spec(const char *name, char *const *parameters, size_t n, struct error *err)
{
	struct buf words;
	char *spec = NULL;
	bool fits;

	buf_init(&words, PARAMS_MAX);
	fits = buf_append(&words, name, strlen(name)) == 0;
	for (size_t i = 0; i < n && fits; i++)
		fits = kmod_append_parameter(&words, parameters[i]) == 0;
	if (!fits)
		error_set(err, ERROR_INVALID_ARGUMENT, "parameters are longer than %d bytes",
			  PARAMS_MAX);
	else if (!(spec = strndup((const char *)buf_head(&words), buf_len(&words))))
		error_nomem(err, "collecting parameters");
	buf_release(&words);
	return spec;
}

static bool
kmod_is_loaded(const struct kmod_env *env, const char *name)
{
	char own[NAME_MAX_ + 1], path[96];

	kmod_sysfs_name(name, own);
	(void)snprintf(path, sizeof(path), "module/%s", own);
	return faccessat(env->sys, path, F_OK, 0) == 0;
}

/* Returns 0 if the module was loaded, 1 if it was loaded before, or -1 and sets err. */
static int
kmod_load_file(const struct kmod_env *env, int dir, const char *path, const char *parameters,
	       struct error *err)
{
	auto_close int fd = path_open(dir, path, O_RDONLY, 0, PATH_FOLLOW_ALL, err);

	if (fd < 0)
		return -1;
	if (env->load(fd, parameters, modtree_flags(path)) == 0)
		return 0;
	if (errno == EEXIST)
		return 1;
	return error_sys(err, "failed to load %s", path);
}

/* Loads the planned files. Sets *was_there if the module `own` was loaded before, or, with NULL and
 * an empty plan, is built in. */
static int
kmod_load_planned(const struct kmod_env *env, const struct modtree *tree, int dir, const char *own,
		  bool *was_there, struct error *err)
{
	const char *path;

	*was_there = true;
	for (size_t i = 0; (path = modtree_planned(tree, i)) != NULL; i++) {
		int r = kmod_load_file(env, dir, path, modtree_planned_params(tree, i), err);

		if (r < 0)
			return -1;
		if (own && strcmp(modtree_planned_name(tree, i), own) == 0)
			*was_there = r > 0;
	}
	return 0;
}

/* Loads what the image has of the module. Sets own to the module's name if `name` is an alias. */
static int
kmod_load_from(const struct kmod_env *env, int dir, const char *name, const char *spec,
	       char own[static NAME_MAX_ + 1], bool *was_there, struct error *err)
{
	char path[128], given[NAME_MAX_ + 1];
	const char *resolved;
	struct modtree *tree;
	int result;

	(void)snprintf(path, sizeof(path), "/lib/modules/%s", env->release);
	tree = modtree_open(dir, path, err);
	if (!tree)
		return -1;
	resolved = modtree_resolve(tree, name);
	kmod_sysfs_name(name, given);
	if (resolved && strcmp(resolved, given) != 0)
		(void)snprintf(own, NAME_MAX_ + 1, "%s", resolved);
	result = modtree_want(tree, spec, err);
	if (result == 0)
		result = kmod_load_planned(env, tree, dir, resolved, was_there, err);
	modtree_free(tree);
	return result;
}

/* Sets parameters of a module that is loaded or built in. */
static int
kmod_set_parameters(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
		    struct error *err)
{
	char own[NAME_MAX_ + 1], path[192];

	kmod_sysfs_name(name, own);
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(parameters[i], "=");
		const char *value = parameters[i][len] ? parameters[i] + len + 1 : "1";

		if (len == 0 || len > 64 || memchr(parameters[i], '/', len))
			return error_set(err, ERROR_INVALID_ARGUMENT, "invalid parameter \"%.80s\"",
					 parameters[i]);
		(void)snprintf(path, sizeof(path), "module/%s/parameters/%.*s", own, (int)len,
			       parameters[i]);
		if (write_text_at(env->sys, path, value) < 0) {
			struct error why = ERROR_INIT;
			char parameter[65];

			(void)snprintf(parameter, sizeof(parameter), "%.*s", (int)len,
				       parameters[i]);
			(void)error_sys(
				&why,
				"failed to set parameter %s of kernel module %.80s, which is "
				"built in or already loaded",
				parameter, name);
			env->warn(env->data, name, parameter, why.msg);
		}
	}
	return 0;
}
