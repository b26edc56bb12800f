/* SPDX-License-Identifier: Apache-2.0 */
/* What job.c (states, pool) and job_messages.c (what a worker says) share. Nobody else includes
 * this. */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/job.h"
#include "agent/job/journal.h"
#include "agent/job/wire.h"
#include "agent/job/worker_proc.h"
#include "lib/list.h"

/* fds of one job; also a journal's (journal_fds()) */
#define KEEP_MAX 96

/* Kinds of steps, those of steps.c included. */
#define UNDO_KINDS_MAX 15

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_STOPPING,
	JOB_UNDOING,
	/* waits in `ended` for its `done` */
	JOB_ENDED,
};

struct job {
	/* in one of the pool's lists */
	struct list node;
	struct jobs *jobs;
	enum job_state state;
	const struct job_ops *ops;
	void *arg, *data;
	unsigned int flags;
	uint64_t deadline_ms;
	struct job_lane *lane;
	int keep[KEEP_MAX];
	size_t n_keep;
	struct worker_proc *proc;
	int sock;
	struct watch *watch;
	/* while QUEUED with its turn, or RUNNING */
	struct timer *deadline;
	/* while STOPPING */
	struct timer *grace_timer;
	/* between attempts to start the undo */
	struct timer *retry_timer;
	struct journal journal;
	uint64_t undo_until_ns;
	/* this job undoes that one */
	struct job *undone_for;
	/* err says why; else a worker without a result died by itself */
	bool is_cancelled;
	/* its worker was killed or crashed */
	bool has_died;
	/* how often another worker took its place */
	unsigned int again;
	struct error err;
	/* of the call that it was started for: its records, and those of its callbacks, have
	 * that */
	struct log_context *log;
};

struct jobs {
	struct loop *loop;
	struct initlink *link;
	/* Of steps, the last one NULL. */
	const struct undo_kind *kinds[UNDO_KINDS_MAX + 1];
	int dev_null;
	/* look at `ended` and the queues again */
	struct post kick;
	/* QUEUED; [1] the urgent ones */
	struct list queue[2];
	/* RUNNING, STOPPING, UNDOING */
	struct list active;
	struct list ended;
	/* struct worker_proc */
	struct list processes;
	unsigned int n_processes;
	/* jobs with a worker, undoing ones not counted */
	unsigned int n_running;
	/* One message. The payload is aligned for any type. */
	alignas(max_align_t) uint8_t in[sizeof(struct job_wire_head) + JOB_MESSAGE_MAX];
};

/* ---- job.c ---- */

/* Makes the loop look at `ended` and at the queues. */
void jobs_kick(struct jobs *jobs);

/* A job that is in no list yet; NULL and err. */
struct job *job_new(struct jobs *jobs, const struct job_spec *spec, struct error *err);
void job_free(struct job *job);

/* Forks the worker. 0, or -1 with the job as it was. */
int job_run(struct job *job, struct error *err);

/* The end: done is called and the job is gone. Only from the loop. */
void job_finish(struct job *job);

/* Kills the worker; the rest comes with its exit. job->err is set. */
void job_stop(struct job *job);

/* The worker has said its last: job->err is the result. The job is gone afterwards, or being
 * undone. */
void job_result(struct job *job);

/* ---- undo_job.c ---- */

/* Undoes the job's journal, then finishes the job. */
void job_undo_begin(struct job *job);

/* ---- job_messages.c ---- */

enum drained {
	/* nothing there now, or `max` messages taken */
	DRAINED,
	/* the worker's end is closed */
	DRAINED_EOF,
	/* the job has ended by a message: do not touch it any more */
	DRAINED_ENDED,
};

/* Takes up to `max` messages of the worker. */
enum drained job_drain(struct job *job, unsigned int max);
