/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases a container's mount namespace. Closing the last reference to one unmounts everything in
 * it, which takes milliseconds at best and may hang on an unresponsive file system of the
 * container. A worker therefore does it by exiting; the loop never does: it closes its own fd when
 * the worker has a copy. Called by sandbox.c.
 */
#include <stdlib.h>

#include "agent/sandbox/sandbox_internal.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct mntns_release {
	int fd;
};

static int mntns_release_run(struct worker *w, void *arg, struct error *err);
static void mntns_release_close(struct job *job, void *data);
static void mntns_release_on_done(struct job *job, const struct error *err, void *data);

static const struct job_ops mntns_release_job = {
	.name = "release mount namespace",
	.work = mntns_release_run,
	.done = mntns_release_on_done,
	.started = mntns_release_close,
};

void
mntns_release(struct sandbox *s, int *fd)
{
	struct mntns_release *l = *fd >= 0 ? malloc(sizeof(*l)) : NULL;
	struct error err = ERROR_INIT;
	struct job_spec job = {
		.ops = &mntns_release_job,
		.arg = l,
		.data = l,
		.keep_fds = l ? &l->fd : NULL,
		.n_keep_fds = 1,
		.deadline_ms = TEARDOWN_MS,
		.flags = JOB_URGENT | JOB_AGAIN,
	};

	if (l) {
		l->fd = steal_fd(fd);
		if (job_start(s->parts.jobs, &job, &err))
			return;
		log_warn("sandbox", "failed to release a mount namespace: %s", err.msg);
		close_fd(&l->fd);
		free(l);
	}
	close_fd(fd);
}

static int
mntns_release_run(struct worker *w, void *arg, struct error *err)
{
	(void)w;
	(void)arg;
	(void)err;
	return 0;
}

static void
mntns_release_close(struct job *job, void *data)
{
	struct mntns_release *l = data;

	job_forget_fd(job, l->fd);
	close_fd(&l->fd);
}

static void
mntns_release_on_done(struct job *job, const struct error *err, void *data)
{
	struct mntns_release *l = data;

	(void)job;
	if (err->code != ERROR_OK)
		log_warn("sandbox", "failed to release a mount namespace: %s", err->msg);
	close_fd(&l->fd);
	free(l);
}
