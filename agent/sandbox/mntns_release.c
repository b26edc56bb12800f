/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases a container's mount namespace. Closing the last reference to one unmounts everything in
 * it, which takes milliseconds at best and may hang on an unresponsive file system of the
 * container. A worker therefore does it by exiting; the loop never does. Called by sandbox.c and
 * remove.c.
 */
#include <stdlib.h>

#include "agent/sandbox/sandbox_internal.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct mntns_release {
	int fd;
};

static int mntns_release_run(struct worker *w, void *arg, struct error *err);
static int mntns_release_close(struct job *job, const struct job_message *m, void *data,
			       struct error *err);
static void mntns_release_on_done(struct job *job, const struct error *err, void *data);

static const struct job_message_type mntns_release_messages[] = {
	[MNTNS_RELEASE_MSG_CLOSE] = { .handler = mntns_release_close },
};

static const struct job_ops mntns_release_job = {
	.name = "release mount namespace",
	.work = mntns_release_run,
	.messages = mntns_release_messages,
	.n_messages = ARRAY_LEN(mntns_release_messages),
	.done = mntns_release_on_done,
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
	(void)arg;
	return mntns_release_work(w, err);
}

static int
mntns_release_close(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct mntns_release *l = data;

	(void)m;
	(void)err;
	job_forget_fd(job, l->fd);
	close_fd(&l->fd);
	return 0;
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

/* Has the agent close its fd of the namespace, so that this worker holds the last one. */
int
mntns_release_work(struct worker *w, struct error *err)
{
	return worker_send(w, MNTNS_RELEASE_MSG_CLOSE, NULL, 0, NULL, 0, true, err);
}
