/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks in the guest's image, which apply to all containers of a sandbox. Worker only: may
 * block. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/container/hooks/hooks.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/path.h"

static int scan_kind(int fd, const char *path, const char *kind, size_t *n, Grpc__Hook ***hooks);
static Grpc__Hook *scan_make_hook(const char *path, const char *kind, const char *name);

Grpc__Hooks *
hooks_scan(struct worker *w, int root_fd, const char *path, struct error *err)
{
	Grpc__Hooks *found = calloc(1, sizeof(*found));
	char name[PATH_MAX];

	if (!found) {
		error_nomem(err, "scanning guest hooks");
		return NULL;
	}
	grpc__hooks__init(found);
	/* The paths of startContainer hooks are the container's: the guest has none. */
	const struct {
		const char *kind;
		size_t *n;
		Grpc__Hook ***hooks;
	} kinds[] = {
		{ "prestart", &found->n_prestart, &found->prestart },
		{ "createRuntime", &found->n_createruntime, &found->createruntime },
		{ "createContainer", &found->n_createcontainer, &found->createcontainer },
		{ "poststart", &found->n_poststart, &found->poststart },
		{ "poststop", &found->n_poststop, &found->poststop },
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", path, kinds[i].kind);
		int dir = path_try_open(root_fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_ALL);

		if (dir < 0) {
			if (errno != ENOENT)
				worker_log(w, LOG_LEVEL_WARN,
					   "failed to open hook directory %s: %s", name,
					   strerror(errno));
			continue;
		}
		if (scan_kind(dir, path, kinds[i].kind, kinds[i].n, kinds[i].hooks) == 0)
			continue;
		grpc__hooks__free_unpacked(found, NULL);
		error_nomem(err, "scanning guest hooks");
		return NULL;
	}
	return found;
}

static bool
scan_is_hook(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0111);
}

static int
scan_by_path(const void *a, const void *b)
{
	return strcmp((*(Grpc__Hook *const *)a)->path, (*(Grpc__Hook *const *)b)->path);
}

/* Adds the hooks in the directory `fd`, which is closed. Returns 0, or -1 if memory runs out. */
static int
scan_kind(int fd, const char *path, const char *kind, size_t *n, Grpc__Hook ***hooks)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!dir) {
		close_fd(&fd);
		return -1;
	}
	*hooks = calloc(HOOKS_MAX, sizeof(**hooks));
	while (*hooks && result == 0 && *n < HOOKS_MAX && (entry = readdir(dir))) {
		if (!scan_is_hook(fd, entry->d_name))
			continue;
		(*hooks)[*n] = scan_make_hook(path, kind, entry->d_name);
		if ((*hooks)[*n])
			++*n;
		else
			result = -1;
	}
	(void)closedir(dir);
	if (*hooks)
		qsort(*hooks, *n, sizeof(**hooks), scan_by_path);
	return *hooks ? result : -1;
}

/* Allocates the hook <path>/<kind>/<name>, which is run as `<name> <kind>`. */
static Grpc__Hook *
scan_make_hook(const char *path, const char *kind, const char *name)
{
	Grpc__Hook *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	grpc__hook__init(h);
	if (asprintf(&h->path, "%s/%s/%s", path, kind, name) < 0)
		h->path = (char *)(uintptr_t)protobuf_c_empty_string;
	h->args = calloc(2, sizeof(*h->args));
	if (h->args && *h->path) {
		h->n_args = 2;
		h->args[0] = strdup(name);
		h->args[1] = strdup(kind);
		if (h->args[0] && h->args[1])
			return h;
	}
	grpc__hook__free_unpacked(h, NULL);
	return NULL;
}
