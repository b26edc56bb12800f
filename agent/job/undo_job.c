/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoes a job. The undo is a job itself, whose worker undoes the steps of the journal, latest
 * first. If that worker is killed, another one starts over. Called by job.c.
 */
#include "agent/job/job_internal.h"

#include "lib/cleanup.h"
#include "lib/deadline.h"

#define UNDO_MS       5000
#define UNDO_RETRY_MS 100

enum undo_msg {
	/* Every step was tried: the agent calls journal_close_fds(). Waits for the reply. */
	UNDO_MSG_DONE = 1,
};

/* ---- in the worker: may block, and is abandoned after its deadline ---- */

/* Undoes every step, even if others fail. err is the first failure. */
static int
undo_work(struct worker *w, void *arg, struct error *err)
{
	const struct journal *j = arg;
	struct error ignored = ERROR_INIT;
	int result = 0;

	for (size_t i = j->n; i-- > 0;) {
		const struct step *step = &j->steps[i];
		struct error failed = ERROR_INIT;

		/* Closed after everything was undone, by a previous worker that was killed after
		 * that. */
		if (step->fd < 0 || step->kind->undo(step, &failed) == 0)
			continue;
		worker_log(w, LOG_LEVEL_WARN, "%s", failed.msg);
		if (result == 0)
			*err = failed;
		result = -1;
	}
	/* The agent closes its copies of the fds before this worker does. */
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
		log_warn("job", "%s: failed to undo all steps: %s", job->ops->name, err->msg);
	/* Undoing a step twice does no harm. */
	if (undo->has_died && job->again < JOB_AGAIN_MAX && !deadline_is_over(job->undo_until_ns)) {
		job->again++;
		job_undo(job);
		return;
	}
	job_finish(job);
}

/* Closes the agent's fds: the undo worker has its own copies now (see journal_close_fds()). */
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

/* Starts the worker that undoes the journal; retries until the deadline if none can be started. */
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
		/* A late start has the remaining time only. */
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
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "timed out starting a worker");
	log_error("job", "%s: failed to undo any step: %s", job->ops->name, err.msg);
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
