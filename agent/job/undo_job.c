/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing a job: a job of its own, whose worker takes the steps of the journal back, latest first.
 * If that worker is killed another one begins anew. Called by job.c.
 */
#include "agent/job/job_internal.h"

#include "lib/cleanup.h"
#include "lib/deadline.h"

#define UNDO_MS       5000
#define UNDO_RETRY_MS 100

enum undo_msg {
	/* Everything was tried: the agent is to call journal_close_fds(). Waits. */
	UNDO_MSG_DONE = 1,
};

/* ---- in the worker: may block, and may be left to itself after its deadline ---- */

/* Each step counts alone, whatever became of the others. err: the first that failed. */
static int
undo_work(struct worker *w, void *arg, struct error *err)
{
	const struct journal *j = arg;
	struct error ignored = ERROR_INIT;
	int result = 0;

	for (size_t i = j->n; i-- > 0;) {
		const struct step *step = &j->steps[i];
		struct error failed = ERROR_INIT;

		/* closed when all was undone, by a worker that was killed then */
		if (step->fd < 0 || step->kind->undo(step, &failed) == 0)
			continue;
		worker_log(w, LOG_LEVEL_WARN, "%s", failed.msg);
		if (result == 0)
			*err = failed;
		result = -1;
	}
	/* the agent closes its fds before this worker does */
	(void)worker_send(w, UNDO_MSG_DONE, NULL, 0, NULL, 0, true, &ignored);
	return result;
}

/* ---- in the agent: never blocks ---- */

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
	.work = undo_work,
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

/* Starts the worker that undoes the journal; while none can be started, tries again until the
 * time is over. */
static void
job_undo(struct job *job)
{
	struct error err = ERROR_INIT;
	int fds[JOURNAL_STEPS_MAX];
	struct job_spec spec = {
		.ops = &undo_ops,
		.arg = &job->journal,
		.data = job,
		.keep_fds = fds,
		.n_keep_fds = journal_fds(&job->journal, fds),
		/* one that begins late has what is left of the time */
		.deadline_ms = (uint64_t)deadline_left_ms(job->undo_until_ns),
	};
	struct job *undo = spec.deadline_ms > 0 ? job_new(job->jobs, &spec, &err) : NULL;

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
	if (err.code == ERROR_OK)
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "no worker could be started in time");
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
