/* SPDX-License-Identifier: Apache-2.0 */
/* The working directory of an image pull. */
#include "agent/storage/image_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "agent/job/worker.h"
#include "agent/storage/tree.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/path.h"
#include "lib/unmount.h"

int
image_work_begin(struct image_work *k, struct worker *w, const struct storage_mount *m,
		 const char *size, struct error *err)
{
	char options[64];
	const struct storage_fs fs = {
		.source = "image",
		.type = "tmpfs",
		.data = options,
	};
	auto_close int tree = -1;

	*k = (struct image_work){
		.w = w,
		.m = m,
		.deadline = deadline_in((uint64_t)m->pull->timeout_s * 1000),
		.under = -1,
		.top = -1,
	};
	(void)snprintf(options, sizeof(options), "mode=0700,size=%s", size);
	(void)snprintf(k->name, sizeof(k->name), ".image-%d", (int)getpid());
	if (worker_mkdir(w, m->roots->run, k->name, 0700, NULL, err) < 0)
		return error_wrap(err, "failed to create a directory for the image");
	k->under =
		path_open(m->roots->run, k->name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE, err);
	if (k->under < 0)
		return -1;
	tree = storage_tree_mount(w, &fs, m->roots, err);
	if (tree < 0 || worker_mount(w, tree, k->under, k->name, &k->id, err) < 0)
		return error_wrap(err, "failed to mount a tmpfs for the image");
	k->top = steal_fd(&tree);
	if (path_real(k->top, k->path) < 0)
		return error_sys(err, "failed to resolve the directory of the image");
	return 0;
}

int
image_work_mkdir(const struct image_work *k, const char *name, mode_t mode, struct error *err)
{
	if (mkdirat(k->top, name, mode) < 0)
		return error_sys(err, "failed to create directory %s for the image", name);
	return image_work_open(k, name, err);
}

int
image_work_bind(const struct image_work *k, const char *name, int source, struct error *err)
{
	auto_close int under = image_work_mkdir(k, name, 0700, err);
	auto_close int tree = -1;

	if (under < 0)
		return -1;
	tree = storage_tree_bind(source, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, err);
	return tree < 0 ? -1 : worker_mount(k->w, tree, under, name, NULL, err);
}

int
image_work_open(const struct image_work *k, const char *name, struct error *err)
{
	return path_open(k->top, name, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE, err);
}

int
image_work_end(struct image_work *k, struct error *err)
{
	if (unmount_upon(k->under, k->id, MNT_DETACH) < 0)
		return error_sys(err, "failed to detach the directory of the image");
	if (unlinkat(k->m->roots->run, k->name, AT_REMOVEDIR) < 0)
		worker_log(k->w, LOG_LEVEL_WARN, "failed to remove " RUN_DIR "/%s: %s", k->name,
			   strerror(errno));
	return 0;
}

void
image_work_release(struct image_work *k)
{
	close_fd(&k->under);
	close_fd(&k->top);
}
