/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker process from its start to its exit, which may be long after the end of its job: a
 * worker that hangs in the kernel is abandoned. Only agent/job uses this. Never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/job/job.h"
#include "lib/list.h"

struct child;

struct worker_proc {
	/* In the pool's list of processes. */
	struct list node;
	pid_t pid;
	int pidfd;
	struct child *child;
	/* NULL: the job has ended, only the exit is awaited. */
	struct job *job;
	/* Called once when the process has ended, before the proc is freed. */
	void (*on_exit)(struct worker_proc *proc, int status, bool gone, void *data);
	void *data;
};

/* Starts a worker that waits at its gate until worker_proc_go(). *sock: our end, non-blocking,
 * owned by the caller. `keep` must have room for n_keep + 1 entries: one is appended. Returns NULL
 * and err on failure, with no process left. */
struct worker_proc *worker_proc_start(const struct jobs *jobs, int *keep, size_t n_keep,
				      job_work_fn *work, void *arg, int *sock, struct error *err);

/* Opens the gate of a worker; `sock` is from worker_proc_start(). The last step of a start,
 * since a worker that acts cannot be taken back. Returns 0, or -1 and err. */
int worker_proc_go(int sock, struct error *err);

void worker_proc_kill(const struct worker_proc *proc);

/* Kills the process, forgets it and frees proc; on_exit is not called. */
void worker_proc_free(struct worker_proc *proc);
