/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RemoveStaleVirtiofsShareMounts: the host has removed directories of the share that are mount
 * points in the guest. Looking up such a path again makes the file server notice that it is gone
 * and drop its cached state; the kernel then detaches the mount by itself. A worker does this
 * because the share may hang.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/job/job.h"
#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"

#define LOOK_MS 10000
#define SHARED  RUN_DIR "/shared/containers/"

#ifndef AT_STATX_FORCE_SYNC
#define AT_STATX_FORCE_SYNC 0x2000
#endif

struct revalidate_arg {
	const struct roots *roots;
	volume_done_fn *done;
	void *data;
};

static int
revalidate_work(struct worker *w, void *arg, struct error *err)
{
	const struct roots *roots = ((const struct revalidate_arg *)arg)->roots;
	auto_free char *text = mountinfo_read(roots->proc, "self/mountinfo", err);
	char *rest = text, *line;
	struct mountinfo m;
	unsigned int n = 0, gone = 0;

	if (!text)
		return -1;
	while ((line = strsep(&rest, "\n")) != NULL) {
		auto_close int fd = -1;
		struct stat st;

		if (!mountinfo_parse(line, &m) || strncmp(m.point, SHARED, strlen(SHARED)) != 0)
			continue;
		n++;
		/* Only the lookup matters, not its result. */
		fd = path_try_open(roots->root, m.point, O_PATH, 0, PATH_FOLLOW_PARENT);
		if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) < 0)
			gone++;
	}
	if (gone > 0)
		worker_log(w, LOG_LEVEL_INFO, "%u of %u mounts below the share are gone", gone, n);
	return 0;
}

static void
revalidate_on_done(struct job *job, const struct error *err, void *data)
{
	const struct revalidate_arg *a = data;

	(void)job;
	a->done(err, a->data);
}

static const struct job_ops revalidate_job = {
	.name = "revalidate share mounts",
	.work = revalidate_work,
	.done = revalidate_on_done,
};

struct pending *
volume_share_revalidate(const struct volume_parts *parts, volume_done_fn *done, void *data,
			struct error *err)
{
	const int fds[] = { parts->roots->root, parts->roots->proc };
	struct revalidate_arg *arg = malloc(sizeof(*arg));
	const struct job_spec spec = {
		.ops = &revalidate_job,
		.arg = arg,
		.free_arg = free,
		.data = arg,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = LOOK_MS,
	};

	if (!arg) {
		error_nomem(err, "revalidating share mounts");
		return NULL;
	}
	*arg = (struct revalidate_arg){ .roots = parts->roots, .done = done, .data = data };
	return job_pending(job_start(parts->jobs, &spec, err));
}
