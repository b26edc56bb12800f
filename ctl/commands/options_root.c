/* SPDX-License-Identifier: Apache-2.0 */
/* The root of the container and its image. */
#include "ctl/commands/options.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/vm/find.h"
#include "lib/cleanup.h"

#define ARENA_MAX (4u << 20)

static int options_apply_bundle(struct run_options *o, struct error *err);
static int options_apply_user(struct run_options *o, struct error *err);

bool
options_is_readonly(const char *fstype)
{
	return strcmp(fstype, "erofs") == 0 || strcmp(fstype, "squashfs") == 0;
}

int
options_open_root(struct run_options *o, struct error *err)
{
	struct vm_share *s = &o->vm.shares[0];

	if (image_open(&o->image, o->rootfs, find_arch_name(o->vm.arch), err) < 0) {
		if (err->code == ERROR_NOT_FOUND)
			err->code = ERROR_INVALID_ARGUMENT;
		return -1;
	}
	if (o->image.has_config && o->writable)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--writable: %s is an image, which all its containers share",
				 o->rootfs);
	(void)snprintf(s->path, sizeof(s->path), "%s", o->image.path);
	s->fstype = o->image.fstype;
	if (s->fstype)
		s->kind = SHARE_BLK;
	s->readonly = !o->writable || (s->fstype && options_is_readonly(s->fstype));
	o->container.has_layer = !o->writable;
	return 0;
}

int
options_open_bundle(struct run_options *o, struct error *err)
{
	Grpc__Process *p;

	if (bundle_open(&o->bundle, o->bundle_dir, err) < 0 ||
	    bundle_add_volumes(&o->bundle, o->volumes, &o->container.n_volumes, err) < 0)
		return -1;
	p = o->bundle.config.spec->process;
	o->rootfs = o->rootfs ? o->rootfs : o->bundle.root;
	o->bundle_spec.spec = o->bundle.config.spec;
	o->bundle_spec.volumes = o->bundle.volumes;
	o->bundle_spec.has_user = o->user != NULL;
	o->container.bundle = &o->bundle_spec;
	if (o->bundle.config.spec->hostname[0] && !o->bundle_spec.has_hostname)
		o->container.hostname = o->bundle.config.spec->hostname;
	if (p->terminal) {
		o->container.terminal = true;
		o->interactive = true;
	}
	return 0;
}

/* Returns a copy of a list that ends with NULL. */
static const char *const *
options_end_list(struct arena *a, char *const *list, size_t n)
{
	const char **out = arena_zalloc(a, n + 1, sizeof(*out));

	for (size_t i = 0; out && i < n; i++)
		out[i] = list[i];
	return out;
}

/* Takes the process of the bundle where options say nothing else. */
static int
options_apply_bundle(struct run_options *o, struct error *err)
{
	const Grpc__Process *p = o->bundle.config.spec->process;
	const char *const *user = o->container.env + o->n_default_env;
	size_t n = o->container.n_env - o->n_default_env, n_own = p->n_env;
	struct arena *a = &o->image.arena;
	struct image_config config = { .cmd = options_end_list(a, p->args, p->n_args),
				       .env = options_end_list(a, p->env, p->n_env) };
	char *const *args = NULL;
	const char *const *env = NULL;

	/* The default of TERM, which -t has added. */
	if (config.env && o->n_default_env > 1)
		config.env = image_env(
			&(struct image_config){
				.env = options_end_list(a, (char *const *)(uintptr_t)o->env, 1) },
			config.env, &n_own, a);
	if (!config.cmd || !config.env)
		return error_nomem(err, "reading a bundle");
	args = image_args(&config, o->entrypoint, o->container.args, a, err);
	if (!args)
		return -1;
	env = image_env(&config, user, &n, a);
	if (!env)
		return error_nomem(err, "building the environment");
	o->container.args = args;
	o->container.env = env;
	o->container.n_env = n;
	if (!o->container.cwd && p->cwd[0])
		o->container.cwd = p->cwd;
	if (p->user && !o->user) {
		o->container.uid = p->user->uid;
		o->container.gid = p->user->gid;
	}
	return 0;
}

int
options_apply_image(struct run_options *o, struct error *err)
{
	const struct image_config *config = &o->image.config;
	struct arena *a = &o->image.arena;
	struct image_config defaults = { .env = NULL };
	const char *const *env;
	char *const *args;
	size_t n;

	/* Without a root of its own, as with --in. */
	if (a->cap == 0)
		arena_init(a, ARENA_MAX);
	if (o->bundle_dir) {
		if (options_apply_bundle(o, err) < 0)
			return -1;
	} else {
		args = image_args(config, o->entrypoint, o->container.args, a, err);
		if (!args)
			return -1;
		o->container.args = args;
	}
	if (o->image.has_config && !o->bundle_dir) {
		/* The image's variables come between the defaults and the user's. */
		const char *const *user = o->container.env + o->n_default_env;
		size_t n_user = o->container.n_env - o->n_default_env;
		const char **list = arena_zalloc(a, o->n_default_env + 1, sizeof(*list));

		if (!list)
			return error_nomem(err, "building the environment");
		memcpy(list, o->container.env, o->n_default_env * sizeof(*list));
		defaults.env = list;
		for (n = 0; config->env[n];)
			n++;
		env = image_env(&defaults, config->env, &n, a);
		defaults.env = env;
		n = n_user;
		env = env ? image_env(&defaults, user, &n, a) : NULL;
		if (!env)
			return error_nomem(err, "building the environment");
		o->container.env = env;
		o->container.n_env = n;
		if (!o->container.cwd && config->cwd[0])
			o->container.cwd = config->cwd;
		if (!o->stop_signal_text && config->stop_signal[0])
			o->stop_signal_text = config->stop_signal;
	}
	o->container.cwd = o->container.cwd ? o->container.cwd : "/";
	o->stop_signal = o->stop_signal_text ? image_signal(o->stop_signal_text) : SIGTERM;
	if (!o->stop_signal)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid signal %s",
				 o->stop_signal_text);
	return options_apply_user(o, err);
}

static int
options_apply_user(struct run_options *o, struct error *err)
{
	const char *text = o->user;
	struct account account;

	if (!text && o->image.has_config && !o->bundle_dir)
		text = o->image.config.user;
	if (!text)
		return 0;
	if (image_find_user(&o->image, text, &account, err) < 0) {
		err->code = ERROR_INVALID_ARGUMENT;
		return error_wrap(err, "--user");
	}
	o->container.uid = account.uid;
	o->container.gid = account.gid;
	memcpy(o->groups, account.groups, account.n_groups * sizeof(o->groups[0]));
	o->container.groups = o->groups;
	o->container.n_groups = account.n_groups;
	return 0;
}

void
options_release(struct run_options *o)
{
	image_close(&o->image);
	bundle_release(&o->bundle);
}
