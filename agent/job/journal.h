/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that a worker announced, kept by the agent: what is undone when the worker does not succeed.
 * Bounded: the worker counts the same way and refuses the step that would not fit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/job/job.h"

#define JOURNAL_STEPS_MAX 2048
#define JOURNAL_BYTES_MAX (512u << 10)
#define JOURNAL_PROCS_MAX 16

struct journal_step {
	enum undo_kind kind;
	pid_t pid;
	char *path; /* owned; NULL for UNDO_KILL */
};

struct journal {
	struct journal_step *steps;
	size_t n, size, bytes;
	struct {
		pid_t pid;
		int pidfd; /* owned: the pid may be another process's by the time of the undo */
	} procs[JOURNAL_PROCS_MAX];
	size_t n_procs;
	int cgroup_root; /* for UNDO_CGROUP; not owned */
};

void journal_init(struct journal *j, int cgroup_root);
void journal_release(struct journal *j);

/* Copies one step; 0, or -1 and errno (ENOMEM, ENOSPC when full). */
int journal_add(struct journal *j, enum undo_kind kind, pid_t pid, const char *path, size_t len);

/* Keeps a duplicate of a process's pidfd for UNDO_KILL; best effort. */
void journal_add_process(struct journal *j, pid_t pid, int pidfd);

/* The fds that an undoing worker needs; room for JOURNAL_PROCS_MAX + 1. */
size_t journal_fds(const struct journal *j, int *fds);

/* job_work_fn over a struct journal: undoes all steps, latest first, each whatever became of the others.
 * err: the first that failed. Worker only: may block. */
int journal_undo(struct worker *w, void *journal, struct error *err);
