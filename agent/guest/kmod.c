/* SPDX-License-Identifier: Apache-2.0 */
/* See kmod.h. Called by the worker of CreateSandbox. */
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

#define NAME_MAX_  55 /* MODULE_NAME_LEN of the kernel */
#define PARAMS_MAX 4096

int
kmod_env_init(struct kmod_env *env, int root, int sys, char release[static 65], struct error *err)
{
	struct utsname uts;

	if (uname(&uts) < 0)
		return error_sys(err, "ask for the kernel's release");
	(void)snprintf(release, 65, "%.64s", uts.release);
	*env = (struct kmod_env){
		.root = root,
		.sys = sys,
		.release = release,
		.load = sys_finit_module,
	};
	return 0;
}

static bool
is_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	}
	return n > 0 && n <= NAME_MAX_ && name[0] != '-';
}

/* "name" or "name=value", as one word: the kernel cuts them at blanks, except within quotes. */
static int
append_parameter(struct buf *words, const char *parameter)
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

/* "NAME PARAMETERS" as modtree_want() takes it; the caller frees it. */
static char *
make_spec(const char *name, char *const *parameters, size_t n, struct error *err)
{
	struct buf words;
	char *spec = NULL;
	bool fits;

	buf_init(&words, PARAMS_MAX);
	fits = buf_append(&words, name, strlen(name)) == 0;
	for (size_t i = 0; i < n && fits; i++)
		fits = append_parameter(&words, parameters[i]) == 0;
	if (!fits)
		error_set(err, ERROR_INVALID_ARGUMENT, "its parameters are over %d bytes",
			  PARAMS_MAX);
	else if (!(spec = strndup((const char *)buf_head(&words), buf_len(&words))))
		error_nomem(err, "collecting parameters");
	buf_release(&words);
	return spec;
}

/* The name as the kernel has it. */
static void
own_name(const char *name, char out[NAME_MAX_ + 1])
{
	size_t i;

	for (i = 0; name[i]; i++)
		out[i] = name[i] == '-' ? '_' : name[i];
	out[i] = '\0';
}

/* Of a module that is in the kernel already. */
static int
set_parameters(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	       struct error *err)
{
	char own[NAME_MAX_ + 1], path[192];

	own_name(name, own);
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(parameters[i], "=");
		const char *value = parameters[i][len] ? parameters[i] + len + 1 : "1";

		if (len == 0 || len > 64 || memchr(parameters[i], '/', len))
			return error_set(err, ERROR_INVALID_ARGUMENT, "\"%.80s\" is no parameter",
					 parameters[i]);
		(void)snprintf(path, sizeof(path), "module/%s/parameters/%.*s", own, (int)len,
			       parameters[i]);
		if (write_text_at(env->sys, path, value) < 0) {
			struct error why = ERROR_INIT;
			char parameter[65];

			(void)snprintf(parameter, sizeof(parameter), "%.*s", (int)len,
				       parameters[i]);
			(void)error_sys(&why,
					"kernel module %.80s is built in or loaded already: failed "
					"to set its parameter %s",
					name, parameter);
			env->warn(env->data, name, parameter, why.msg);
		}
	}
	return 0;
}

static bool
is_loaded(const struct kmod_env *env, const char *name)
{
	char own[NAME_MAX_ + 1], path[96];

	own_name(name, own);
	(void)snprintf(path, sizeof(path), "module/%s", own);
	return faccessat(env->sys, path, F_OK, 0) == 0;
}

/* 0 loaded, 1 it was there already, -1 and err. */
static int
load_file(const struct kmod_env *env, int dir, const char *path, const char *parameters,
	  struct error *err)
{
	auto_close int fd = path_open(dir, path, O_RDONLY, 0, PATH_FOLLOW_ALL, err);

	if (fd < 0)
		return -1;
	if (env->load(fd, parameters, modtree_flags(path)) == 0)
		return 0;
	if (errno == EEXIST)
		return 1;
	return error_sys(err, "load %s", path);
}

/* *was_there: the module `own` is in the kernel already. If nothing is planned it is built in. */
static int
load_planned(const struct kmod_env *env, const struct modtree *tree, int dir, const char *own,
	     bool *was_there, struct error *err)
{
	const char *path;

	*was_there = true;
	for (size_t i = 0; (path = modtree_planned(tree, i)) != NULL; i++) {
		int r = load_file(env, dir, path, modtree_planned_params(tree, i), err);

		if (r < 0)
			return -1;
		if (strcmp(modtree_planned_name(tree, i), own) == 0)
			*was_there = r > 0;
	}
	return 0;
}

static int
load_from(const struct kmod_env *env, int dir, const char *name, const char *spec, bool *was_there,
	  struct error *err)
{
	char path[128], own[NAME_MAX_ + 1];
	struct modtree *tree;
	int result;

	own_name(name, own);
	(void)snprintf(path, sizeof(path), "/lib/modules/%s", env->release);
	tree = modtree_open(dir, path, err);
	if (!tree)
		return -1;
	result = modtree_want(tree, spec, err);
	if (result == 0)
		result = load_planned(env, tree, dir, own, was_there, err);
	modtree_free(tree);
	return result;
}

static int
load_module(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	    struct error *err)
{
	auto_free char *spec = NULL;
	auto_close int dir = -1;
	char path[128];
	bool was_there = true;

	if (!is_name(name) || n > KMOD_PARAMETERS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "not a name, or over %d parameters",
				 KMOD_PARAMETERS_MAX);
	spec = make_spec(name, parameters, n, err);
	if (!spec)
		return -1;
	(void)snprintf(path, sizeof(path), "lib/modules/%s", env->release);
	dir = path_try_open(env->root, path, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (dir < 0 && !is_loaded(env, name))
		return error_sys_code(err, ERROR_NOT_FOUND, "open /%s", path);
	if (dir >= 0 && load_from(env, dir, name, spec, &was_there, err) < 0) {
		/* of a kernel that was built without that list */
		if (err->code != ERROR_NOT_FOUND || !is_loaded(env, name))
			return -1;
		*err = ERROR_INIT;
	}
	return was_there ? set_parameters(env, name, parameters, n, err) : 0;
}

int
kmod_load(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	  struct error *err)
{
	if (load_module(env, name, parameters, n, err) < 0)
		return error_wrap(err, "load kernel module %.80s", name);
	return 0;
}
