/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking half of CreateSandbox and DestroySandbox. Called in workers only. Must never remove
 * anything across a mount point.
 */
#include "agent/sandbox/setup_work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/ns/sandbox_ns.h"
#include "agent/guest/kmod.h"
#include "lib/cleanup.h"
#include "lib/log_event.h"
#include "lib/path.h"

static int setup_work_clean_run_dir(struct worker *w, int run, struct error *err);
static int setup_work_load_modules(struct worker *w, const struct setup_work *work,
				   struct error *err);
static int setup_work_find_hooks(struct worker *w, const struct setup_work *work,
				 struct error *err);

int
setup_work_first(struct worker *w, const struct setup_work *work, struct error *err)
{
	const struct sandbox_request *request = work->request;
	int ns[2] = { -1, -1 };

	if (setup_work_clean_run_dir(w, work->roots->run, err) < 0)
		return -1;
	if (setup_work_load_modules(w, work, err) < 0)
		return -1;
	if (*request->guest_hook_path && setup_work_find_hooks(w, work, err) < 0)
		return error_wrap(err, "failed to read the guest's hooks");
	if (sandbox_namespaces_make(w, request->hostname, &ns[0], &ns[1], err) < 0)
		return -1;
	/* The worker's exit closes them. */
	return worker_send(w, SETUP_MSG_NAMESPACES, NULL, 0, ns, 2, true, err);
}

/* Removes files left by an earlier agent. What is or contains a mount point stays, with a
 * warning. */
static int
setup_work_clean_run_dir(struct worker *w, int run, struct error *err)
{
	int fd = openat(run, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		error_sys(err, "failed to open %s", RUN_DIR);
		close_fd(&fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct error e = ERROR_INIT;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (path_remove_tree(run, entry->d_name, &e) < 0)
			worker_log(w, LOG_LEVEL_WARN, "failed to clean %s: %s", RUN_DIR, e.msg);
	}
	closedir(dir);
	return 0;
}

static void
setup_work_warn(void *data, const char *module, const char *parameter, const char *text)
{
	const struct log_field fields[] = { { "module", module }, { "parameter", parameter } };

	worker_event(data, LOG_LEVEL_WARN, EVENT_MODULE_PARAMETER_REFUSED, fields,
		     ARRAY_LEN(fields), "%s", text);
}

static int
setup_work_load_modules(struct worker *w, const struct setup_work *work, struct error *err)
{
	const struct sandbox_request *request = work->request;
	struct kmod_env env;
	char release[65];

	if (request->n_modules == 0)
		return 0;
	if (kmod_env_init(&env, work->roots->root, work->roots->sys, release, err) < 0)
		return -1;
	env.warn = setup_work_warn;
	env.data = w;
	for (size_t i = 0; i < request->n_modules; i++) {
		const struct sandbox_module *m = &request->modules[i];

		if (kmod_load(&env, m->name, m->parameters, m->n_parameters, err) < 0)
			return -1;
	}
	return 0;
}

/* Sends the hooks of the guest's image to the agent. A missing directory is not an error. */
static int
setup_work_find_hooks(struct worker *w, const struct setup_work *work, struct error *err)
{
	Grpc__Hooks *hooks = hooks_scan(w, work->roots->root, work->request->guest_hook_path, err);
	auto_free uint8_t *packed = NULL;
	size_t size;

	if (!hooks)
		return -1;
	size = grpc__hooks__get_packed_size(hooks);
	packed = size ? malloc(size) : NULL;
	if (packed)
		grpc__hooks__pack(hooks, packed);
	grpc__hooks__free_unpacked(hooks, NULL);
	if (!size)
		return 0;
	if (!packed)
		return error_nomem(err, "searching for the guest's hooks");
	return worker_send(w, SETUP_MSG_HOOKS, packed, size, NULL, 0, true, err);
}

int
setup_work_last(struct worker *w, const struct setup_work *work, struct error *err)
{
	setup_names_unbind(w, &work->names);
	return setup_work_clean_run_dir(w, work->roots->run, err);
}
