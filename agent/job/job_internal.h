/* SPDX-License-Identifier: Apache-2.0 */
/* The state of jobs and of the pool, which job.c, job_messages.c and worker_proc.c share. */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/job.h"
#include "agent/job/journal.h"
#include "agent/job/wire.h"
#include "agent/job/worker_proc.h"
#include "lib/buf.h"
#include "lib/list.h"

/* The fds of one job; also those of a journal (journal_fds()). */
#define KEEP_MAX 96

/* Kinds of steps, those of steps.c included. */
#define UNDO_KINDS_MAX 15

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_STOPPING,
	JOB_UNDOING,
	/* Waits in `ended` for its `done`. */
	JOB_ENDED,
};

struct job {
	/* In one of the pool's lists. */
	struct list node;
	struct jobs *jobs;
	enum job_state state;
	const struct job_ops *ops;
	void *arg, *data;
	void (*free_arg)(void *arg);
	unsigned int flags;
	uint64_t deadline_ms;
	struct job_lane *lane;
	int keep[KEEP_MAX];
	size_t n_keep;
	struct worker_proc *proc;
	int sock;
	struct watch *watch;
	/* While QUEUED with its turn, or RUNNING. */
	struct timer *deadline;
	/* While STOPPING. */
	struct timer *grace_timer;
	/* Between attempts to start the undo. */
	struct timer *retry_timer;
	struct journal journal;
	/* Of worker_output(); a NUL follows. */
	struct buf output;
	/* The first refusal of a worker_report(). */
	struct error refused;
	/* See job_pending(). */
	struct pending pending;
	/* The wait was cancelled. */
	bool is_unwanted;
	uint64_t undo_until_ns;
	/* The job that this one undoes. */
	struct job *undone_for;
	/* err says why; otherwise a worker without a result died by itself. */
	bool is_cancelled;
	/* Its worker was killed or crashed. */
	bool has_died;
	/* Number of workers that have replaced one that died. */
	unsigned int again;
	struct error err;
	/* The context of the call that started the job: applies to its records, and to those of its
	 * callbacks. */
	struct log_context *log;
};

struct jobs {
	struct loop *loop;
	struct initlink *link;
	/* The kinds of steps, NULL-terminated. */
	const struct undo_kind *kinds[UNDO_KINDS_MAX + 1];
	int dev_null;
	/* Handles `ended` and the queues again. */
	struct post kick;
	/* QUEUED; [1]: urgent jobs. */
	struct list queue[2];
	/* RUNNING, STOPPING, UNDOING. */
	struct list active;
	struct list ended;
	/* Of struct worker_proc. */
	struct list processes;
	unsigned int n_processes;
	/* Number of jobs with a worker, except undo jobs. */
	unsigned int n_running;
	/* One message. The payload is aligned for any type. */
	alignas(max_align_t) uint8_t in[sizeof(struct job_wire_head) + JOB_MESSAGE_MAX];
};
