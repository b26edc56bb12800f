/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing a job, seen from the agent: a job of its own, whose worker walks the journal (undo.c). If that worker is killed
 * another one begins anew. Called by job.c. Never blocks.
 */
#include "agent/job/job_internal.h"

#include "lib/cleanup.h"
#include "lib/deadline.h"

#define UNDO_MS       5000
#define UNDO_RETRY_MS 100

static void job_undo(struct job *job);

static void
undo_done(struct job *undo, const struct error *err, void *data)
{
	struct job *job = data;

	if (err->code != ERROR_OK)
		log_warn("job", "%s: not everything was undone: %s", job->ops->name, err->msg);
	/* a step that was undone already does no harm */
	if (undo->has_died && job->again < JOB_AGAIN_MAX && !deadline_is_over(job->undo_until_ns)) {
		job->again++;
		job_undo(job);
		return;
	}
	job_finish(job);
}

/* The undoing worker has its fds for itself now (see journal_close_fds()). */
static int
undo_close_fds(struct job *undo, const struct job_message *m, void *data, struct error *err)
{
	struct job *job = data;

	(void)undo, (void)m, (void)err;
	journal_close_fds(&job->journal);
	return 0;
}

static const struct job_message_type undo_messages[] = {
	[UNDO_MSG_DONE] = { .handler = undo_close_fds },
};

static const struct job_ops undo_ops = {
	.name = "undo",
	.work = journal_undo,
	.messages = undo_messages,
	.n_messages = ARRAY_LEN(undo_messages),
	.done = undo_done,
};

static void
undo_retry(void *data)
{
	struct job *job = data;
	const struct log_context *former = log_context_set(job->log);

	job->retry_timer = NULL;
	job_undo(job);
	(void)log_context_set(former);
}

/* Starts the worker that undoes the journal; while none can be started, tries again until the time is over. */
static void
job_undo(struct job *job)
{
	struct error err = ERROR_INIT;
	int fds[JOURNAL_STEPS_MAX + 1];
	struct job_spec spec = {
		.ops = &undo_ops,
		.arg = &job->journal,
		.data = job,
		.keep_fds = fds,
		.n_keep_fds = journal_fds(&job->journal, fds),
		.deadline_ms = UNDO_MS,
	};
	struct job *undo = job_new(job->jobs, &spec, &err);

	if (undo) {
		undo->undone_for = job;
		if (job_run(undo, &err) == 0)
			return;
		job_free(undo);
	}
	if (!deadline_is_over(job->undo_until_ns)) {
		job->retry_timer =
			loop_timer(job->jobs->loop, UNDO_RETRY_MS, undo_retry, job, &err);
		if (job->retry_timer)
			return;
	}
	log_error("job", "%s: nothing was undone: %s", job->ops->name, err.msg);
	list_remove(&job->node);
	list_append(&job->jobs->ended, &job->node);
	jobs_kick(job->jobs);
}

void
job_undo_begin(struct job *job)
{
	job->state = JOB_UNDOING;
	job->undo_until_ns = deadline_in(UNDO_MS);
	job_undo(job);
}
