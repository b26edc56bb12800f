/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, the agent's side: the pool, the queue and the states of a job. Everything happens on the
 * loop; nothing here blocks.
 *
 *   QUEUED -> RUNNING -> done                    (the worker's result was success)
 *                     -> UNDOING -> done         (it was a failure, or the worker died)
 *                     -> STOPPING -> UNDOING -> done   (cancelled or late: killed first)
 *
 * The undo is a job itself, whose worker undoes the steps of the journal. If that worker is killed,
 * another one starts over.
 */
#include "agent/job/job.h"
#include "agent/job/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/job/initlink.h"
#include "agent/job/job_internal.h"
#include "agent/job/job_messages.h"
#include "agent/job/undo.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"

#define WORKERS_MAX    64
#define WORKERS_URGENT 2
/* Limit of all worker processes, including abandoned and ending ones. */
#define PROCESSES_MAX 320
/* Time between killing a worker and abandoning it. */
#define STOP_MS         5000
#define STOP_UNDO_MS    200
#define MESSAGES_A_TURN 64
#define UNDO_MS         5000
#define UNDO_RETRY_MS   100

static struct job *job_new(struct jobs *jobs, const struct job_spec *spec, struct error *err);
static int job_run(struct job *job, struct error *err);
static int job_take_turn(struct job *job, struct error *err);
static void job_late(void *data);
static void job_on_socket(uint32_t events, void *data);
static void job_on_worker_exit(struct worker_proc *proc, int status, bool gone, void *data);
static void job_worker_ended(struct job *job, int status, bool gone);
static void job_describe_death(struct error *err, int status, bool gone);
static void job_again(struct job *job);
static void job_stop(struct job *job);
static void job_abandon_worker(void *data);
static bool job_drain_last(struct job *job);
static void job_result(struct job *job);
static void job_undo(struct job *job);
static int job_undo_close_fds(struct job *undo, const struct job_message *m, void *data,
			      struct error *err);
static void job_unwanted(struct pending *p);
static void jobs_on_kick(void *data);
static bool jobs_run_queue(struct jobs *jobs, bool urgent);
static void jobs_free_list(struct list *jobs);

static void
jobs_kick(struct jobs *jobs)
{
	loop_post(jobs->loop, &jobs->kick);
}

/* Detaches the worker from the job. It may still exist: while it exits, or forever if it hangs. */
static void
job_drop_worker(struct job *job)
{
	loop_unwatch(job->watch);
	job->watch = NULL;
	close_fd(&job->sock);
	timer_cancel(job->deadline);
	job->deadline = NULL;
	timer_cancel(job->grace_timer);
	job->grace_timer = NULL;
	if (job->proc)
		job->proc->job = NULL;
	job->proc = NULL;
	if (!job->undone_for && (job->state == JOB_RUNNING || job->state == JOB_STOPPING))
		job->jobs->n_running--;
}

static void
job_free(struct job *job)
{
	if (job->lane && job->lane->turn == job)
		job->lane->turn = NULL;
	list_remove(&job->node);
	timer_cancel(job->deadline);
	timer_cancel(job->grace_timer);
	timer_cancel(job->retry_timer);
	loop_unwatch(job->watch);
	close_fd(&job->sock);
	journal_release(&job->journal);
	buf_release(&job->output);
	log_context_free(job->log);
	if (job->free_arg)
		job->free_arg(job->arg);
	free(job);
}

static void
job_finish(struct job *job)
{
	struct jobs *jobs = job->jobs;
	const struct log_context *former = log_context_set(job->log);

	job_drop_worker(job);
	job->state = JOB_ENDED;
	(void)pending_end(&job->pending);
	if (job->ops->done && !job->is_unwanted)
		job->ops->done(job, &job->err, job->data);
	(void)log_context_set(former);
	job_free(job);
	if (!list_is_empty(&jobs->queue[0]) || !list_is_empty(&jobs->queue[1]))
		jobs_kick(jobs);
}

static bool
job_has_turn(const struct job *job)
{
	return !job->lane || !job->lane->turn || job->lane->turn == job;
}

static bool
jobs_may_run(const struct jobs *jobs, unsigned int flags)
{
	unsigned int max = flags & JOB_URGENT ? WORKERS_MAX : WORKERS_MAX - WORKERS_URGENT;

	return jobs->n_running < max && jobs->n_processes < PROCESSES_MAX;
}

struct job *
job_start(struct jobs *jobs, const struct job_spec *spec, struct error *err)
{
	struct list *queue = &jobs->queue[spec->flags & JOB_URGENT ? 1 : 0];
	struct job *job = job_new(jobs, spec, err);

	if (!job) {
		if (spec->free_arg)
			spec->free_arg(spec->arg);
		return NULL;
	}
	/* The queued jobs may only be waiting for their lanes: the kick starts this one. */
	if (!list_is_empty(queue) || !job_has_turn(job) || !jobs_may_run(jobs, spec->flags)) {
		if (job_has_turn(job) && job_take_turn(job, err) < 0) {
			job_free(job);
			return NULL;
		}
		job->state = JOB_QUEUED;
		list_append(queue, &job->node);
		jobs_kick(jobs);
		return job;
	}
	if (job_run(job, err) < 0) {
		job_free(job);
		return NULL;
	}
	return job;
}

static struct job *
job_new(struct jobs *jobs, const struct job_spec *spec, struct error *err)
{
	struct job *job;

	if (spec->n_keep_fds > KEEP_MAX) {
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "too many fds for one job: %zu",
			  spec->n_keep_fds);
		return NULL;
	}
	job = calloc(1, sizeof(*job));
	if (!job) {
		error_nomem(err, "starting a job");
		return NULL;
	}
	list_init(&job->node);
	job->jobs = jobs;
	job->ops = spec->ops;
	job->arg = spec->arg;
	job->free_arg = spec->free_arg;
	job->data = spec->data;
	job->flags = spec->flags;
	job->deadline_ms = spec->deadline_ms;
	job->lane = spec->lane;
	job->sock = -1;
	job->log = log_context_copy();
	buf_init(&job->output, spec->ops->output_max + 1);
	for (size_t i = 0; i < spec->n_keep_fds; i++) {
		if (spec->keep_fds[i] > 2)
			job->keep[job->n_keep++] = spec->keep_fds[i];
	}
	return job;
}

static int
job_run(struct job *job, struct error *err)
{
	struct jobs *jobs = job->jobs;
	int keep[KEEP_MAX + 1];

	if (job_take_turn(job, err) < 0)
		return -1;
	if (jobs->n_processes >= PROCESSES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "too many workers hang in the kernel: %u", jobs->n_processes);
	memcpy(keep, job->keep, job->n_keep * sizeof(*keep));
	job->proc = worker_proc_start(jobs, keep, job->n_keep, job->ops->work, job->arg, &job->sock,
				      err);
	if (!job->proc)
		return -1;
	job->proc->job = job;
	job->proc->on_exit = job_on_worker_exit;
	job->proc->data = jobs;
	list_append(&jobs->processes, &job->proc->node);
	job->watch = loop_watch(jobs->loop, job->sock, EPOLLIN, job_on_socket, job, err);
	if (job->watch && job->ops->started)
		job->ops->started(job, job->data);
	/* A worker that has begun can no longer be taken back. */
	if (!job->watch || worker_proc_go(job->sock, err) < 0) {
		loop_unwatch(steal_ptr(&job->watch));
		worker_proc_free(steal_ptr(&job->proc));
		close_fd(&job->sock);
		return -1;
	}
	jobs->n_processes++;
	if (!job->undone_for)
		jobs->n_running++;
	job->state = JOB_RUNNING;
	list_remove(&job->node);
	list_append(&jobs->active, &job->node);
	return 0;
}

/* Gives the job its turn in its lane: it waits for a worker only, and its deadline begins. */
static int
job_take_turn(struct job *job, struct error *err)
{
	if (job->lane)
		job->lane->turn = job;
	if (job->deadline_ms == 0 || job->deadline)
		return 0;
	job->deadline = loop_timer(job->jobs->loop, job->deadline_ms, job_late, job, err);
	return job->deadline ? 0 : -1;
}

static void
job_late(void *data)
{
	struct job *job = data;
	const struct log_context *former;

	job->deadline = NULL;
	if (job->state == JOB_QUEUED) {
		error_set(&job->err, ERROR_DEADLINE_EXCEEDED,
			  "timed out after %llu ms waiting for a worker",
			  (unsigned long long)job->deadline_ms);
		job_finish(job);
		return;
	}
	former = log_context_set(job->log);
	job->is_cancelled = true;
	error_set(&job->err, ERROR_DEADLINE_EXCEEDED, "timed out after %llu ms",
		  (unsigned long long)job->deadline_ms);
	job_stop(job);
	(void)log_context_set(former);
}

static void
job_on_socket(uint32_t events, void *data)
{
	struct job *job = data;
	const struct log_context *former;

	(void)events;
	if (job->state != JOB_RUNNING)
		return;
	former = log_context_set(job->log);
	switch (job_drain(job, MESSAGES_A_TURN)) {
	case DRAINED:
		break;
	case DRAINED_RESULT:
		job_result(job);
		break;
	case DRAINED_EOF:
		if (job->state != JOB_RUNNING)
			break;
		/* It has died or cannot report anymore. Its exit status follows from init. */
		error_set(&job->err, ERROR_INTERNAL,
			  "the worker closed its socket without reporting a result");
		job_stop(job);
		break;
	case DRAINED_ABORT:
		job_stop(job);
		break;
	}
	(void)log_context_set(former);
}

static void
job_on_worker_exit(struct worker_proc *proc, int status, bool gone, void *data)
{
	struct jobs *jobs = data;
	struct job *job = proc->job;
	const struct log_context *former;

	jobs->n_processes--;
	if (!job) {
		if (!list_is_empty(&jobs->queue[0]) || !list_is_empty(&jobs->queue[1]))
			jobs_kick(jobs);
		return;
	}
	former = log_context_set(job->log);
	job_worker_ended(job, status, gone);
	(void)log_context_set(former);
}

/* Decides how a job whose worker has ended goes on. */
static void
job_worker_ended(struct job *job, int status, bool gone)
{
	/* Everything that it sent before it died is in the socket by now. */
	if (job_drain_last(job))
		return;
	if (!job->is_cancelled) {
		job_describe_death(&job->err, status, gone);
		job->has_died = true;
		if ((job->flags & JOB_AGAIN) && job->journal.n == 0 && job->again < JOB_AGAIN_MAX) {
			job_again(job);
			return;
		}
	}
	job_result(job);
}

static void
job_describe_death(struct error *err, int status, bool gone)
{
	if (gone)
		error_set(err, ERROR_INTERNAL, "the worker ended before it was registered");
	else if (WIFSIGNALED(status))
		error_set(err, ERROR_INTERNAL, "the worker was killed by signal %d",
			  WTERMSIG(status));
	else
		error_set(err, ERROR_INTERNAL,
			  "the worker exited with status %d without reporting a result",
			  WEXITSTATUS(status));
}

/* Restarts the work from its beginning in another worker, ahead of the queue. */
static void
job_again(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct error err = ERROR_INIT;

	log_warn("job", "%s: %s; starting another worker", job->ops->name, job->err.msg);
	job_drop_worker(job);
	job->again++;
	job->err = ERROR_INIT;
	job->refused = ERROR_INIT;
	buf_consume(&job->output, buf_len(&job->output));
	job->state = JOB_QUEUED;
	if (job->deadline_ms > 0) {
		job->deadline = loop_timer(jobs->loop, job->deadline_ms, job_late, job, &err);
		if (!job->deadline)
			log_warn("job", "%s: running without a deadline: %s", job->ops->name,
				 err.msg);
	}
	list_remove(&job->node);
	list_append(jobs->queue[job->flags & JOB_URGENT ? 1 : 0].next, &job->node);
	jobs_kick(jobs);
}

static void
job_stop(struct job *job)
{
	struct error err = ERROR_INIT;

	job->state = JOB_STOPPING;
	timer_cancel(job->deadline);
	job->deadline = NULL;
	watch_set_events(job->watch, 0);
	worker_proc_kill(job->proc);
	job->grace_timer = loop_timer(job->jobs->loop, job->undone_for ? STOP_UNDO_MS : STOP_MS,
				      job_abandon_worker, job, &err);
	if (!job->grace_timer)
		log_warn("job", "%s: waiting for the worker's end without a time limit: %s",
			 job->ops->name, err.msg);
}

static void
job_abandon_worker(void *data)
{
	struct job *job = data;
	const struct log_context *former = log_context_set(job->log);

	job->grace_timer = NULL;
	log_warn("job", "%s: worker %d does not die, abandoning it", job->ops->name,
		 (int)job->proc->pid);
	/* For the steps that it announced. */
	(void)job_drain_last(job);
	job_result(job);
	(void)log_context_set(former);
}

/* Handles everything that the worker has sent. The loop stops if the socket grows meanwhile:
 * another process may hold the worker's end. Returns true if that ended the job, which may be
 * freed. */
static bool
job_drain_last(struct job *job)
{
	enum drained drained;

	(void)shutdown(job->sock, SHUT_RD);
	while ((drained = job_drain(job, ~0u)) == DRAINED_ABORT)
		job_stop(job);
	if (drained != DRAINED_RESULT)
		return false;
	job_result(job);
	return true;
}

static void
job_result(struct job *job)
{
	if (job->err.code != ERROR_OK && job->journal.n > 0) {
		job_drop_worker(job);
		job->state = JOB_UNDOING;
		job->undo_until_ns = deadline_in(UNDO_MS);
		job_undo(job);
		return;
	}
	job_finish(job);
}

/* ---- undo ---- */

static void
job_on_undone(struct job *undo, const struct error *err, void *data)
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

static void
job_undo_retry(void *data)
{
	struct job *job = data;
	const struct log_context *former = log_context_set(job->log);

	job->retry_timer = NULL;
	job_undo(job);
	(void)log_context_set(former);
}

static const struct job_message_type job_undo_messages[] = {
	[UNDO_MSG_DONE] = { .handler = job_undo_close_fds },
};

static const struct job_ops job_undo_ops = {
	.name = "undo",
	.work = undo_work,
	.messages = job_undo_messages,
	.n_messages = ARRAY_LEN(job_undo_messages),
	.done = job_on_undone,
};

/* Starts the worker that undoes the journal; retries until the deadline if none can be started. */
static void
job_undo(struct job *job)
{
	struct error err = ERROR_INIT;
	int fds[JOURNAL_STEPS_MAX];
	struct job_spec spec = {
		.ops = &job_undo_ops,
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
			loop_timer(job->jobs->loop, UNDO_RETRY_MS, job_undo_retry, job, &err);
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

/* Closes the agent's fds: the undo worker has its own copies now (see journal_close_fds()). */
static int
job_undo_close_fds(struct job *undo, const struct job_message *m, void *data, struct error *err)
{
	struct job *job = data;

	(void)undo, (void)m, (void)err;
	journal_close_fds(&job->journal);
	return 0;
}

/* ---- the owner of a job, and the pool ---- */

bool
job_has_begun(const struct job *job)
{
	return job->state != JOB_QUEUED;
}

void
job_cancel(struct job *job, enum error_code code, const char *why)
{
	if (!job || (job->state != JOB_QUEUED && job->state != JOB_RUNNING))
		return;
	error_set(&job->err, code, "%s", why);
	job->is_cancelled = true;
	if (job->state == JOB_RUNNING) {
		job_stop(job);
		return;
	}
	/* It may expire before the kick is handled. */
	timer_cancel(job->deadline);
	job->deadline = NULL;
	job->state = JOB_ENDED;
	list_remove(&job->node);
	list_append(&job->jobs->ended, &job->node);
	jobs_kick(job->jobs);
}

struct pending *
job_pending(struct job *job)
{
	if (!job)
		return NULL;
	job->pending.cancel = job_unwanted;
	return &job->pending;
}

static void
job_unwanted(struct pending *p)
{
	struct job *job = pending_entry(p, struct job, pending);

	job->is_unwanted = true;
	if (!(job->flags & JOB_GOES_ON) || job->state == JOB_QUEUED)
		job_cancel(job, ERROR_CANCELLED, "the call has ended");
}

const char *
job_output(const struct job *job, size_t *n)
{
	if (n)
		*n = buf_len(&job->output);
	return buf_len(&job->output) > 0 ? (const char *)buf_head(&job->output) : "";
}

void
job_take_output(struct job *job, struct buf *out)
{
	*out = job->output;
	buf_init(&job->output, 0);
}

void
job_forget_fd(struct job *job, int fd)
{
	for (size_t i = 0; i < job->n_keep; i++) {
		if (job->keep[i] == fd) {
			job->keep[i] = job->keep[--job->n_keep];
			return;
		}
	}
}

struct jobs *
jobs_new(struct loop *loop, struct initlink *link, const struct undo_kind *const *kinds,
	 struct error *err)
{
	static const struct undo_kind *const own[] = { &undo_umount, &undo_rmdir, &undo_unlink,
						       &undo_kill };
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	size_t n = ARRAY_LEN(own);

	if (!jobs) {
		error_nomem(err, "creating the pool of workers");
		return NULL;
	}
	jobs->loop = loop;
	jobs->link = link;
	memcpy(jobs->kinds, own, sizeof(own));
	for (; kinds && *kinds && n < UNDO_KINDS_MAX; kinds++)
		jobs->kinds[n++] = *kinds;
	list_init(&jobs->queue[0]);
	list_init(&jobs->queue[1]);
	list_init(&jobs->active);
	list_init(&jobs->ended);
	list_init(&jobs->processes);
	post_init(&jobs->kick, jobs_on_kick, jobs);
	jobs->dev_null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (jobs->dev_null < 0) {
		error_sys(err, "failed to open /dev/null");
		jobs_free(jobs);
		return NULL;
	}
	return jobs;
}

/* Finishes the jobs in `ended`, then starts those that wait. */
static void
jobs_on_kick(void *data)
{
	struct jobs *jobs = data;

	while (!list_is_empty(&jobs->ended))
		job_finish(list_entry(jobs->ended.next, struct job, node));
	while (!jobs_run_queue(jobs, true))
		continue;
	while (!jobs_run_queue(jobs, false))
		continue;
}

/* Starts the jobs of a queue that may run, and gives the first job of each lane its turn. Returns
 * false if it must be called again. */
static bool
jobs_run_queue(struct jobs *jobs, bool urgent)
{
	struct list *pos, *next;

	list_for_each_safe (pos, next, &jobs->queue[urgent]) {
		struct job *job = list_entry(pos, struct job, node);
		const struct log_context *former;
		int result;

		if (!job_has_turn(job))
			continue;
		former = log_context_set(job->log);
		if (jobs_may_run(jobs, urgent ? JOB_URGENT : 0))
			result = job_run(job, &job->err);
		else
			result = job_take_turn(job, &job->err);
		/* Its callback may change the queue. */
		if (result < 0)
			job_finish(job);
		(void)log_context_set(former);
		if (result < 0)
			return false;
	}
	return true;
}

void
jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	while (!list_is_empty(&jobs->processes))
		worker_proc_free(list_entry(jobs->processes.next, struct worker_proc, node));
	jobs_free_list(&jobs->queue[0]);
	jobs_free_list(&jobs->queue[1]);
	jobs_free_list(&jobs->active);
	jobs_free_list(&jobs->ended);
	post_cancel(&jobs->kick);
	close_fd(&jobs->dev_null);
	free(jobs);
}

static void
jobs_free_list(struct list *jobs)
{
	while (!list_is_empty(jobs))
		job_free(list_entry(jobs->next, struct job, node));
}

unsigned int
jobs_running(const struct jobs *jobs)
{
	return jobs->n_running;
}
