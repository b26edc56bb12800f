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

/* Each may hold an fd of the agent. */
#define JOURNAL_STEPS_MAX 80
#define JOURNAL_NAME_MAX  4096

/* What is known about a step that makes something. */
enum journal_taken {
	JOURNAL_UNKNOWN, /* the worker has said nothing more */
	JOURNAL_TAKEN,   /* dev and ino are what was made */
	JOURNAL_NOT_TAKEN,
};

struct journal_step {
	enum undo_kind kind;
	enum journal_taken taken;
	int32_t id;
	int fd; /* owned, -1: none */
	dev_t dev;
	ino_t ino;
	char *name; /* owned, "" if there is none */
};

struct journal {
	struct journal_step *steps;
	size_t n, size;
	bool is_lost;    /* the step that was announced last is not among them */
	int cgroup_root; /* for UNDO_CGROUP; not owned */
	job_cgroup_fn *remove_cgroup;
};

void journal_init(struct journal *j, int cgroup_root, job_cgroup_fn *remove_cgroup);
void journal_release(struct journal *j);

/* Adds one step and takes over step->fd; step->name (`len` bytes) is copied. 0, or -1 and errno (ENOMEM, ENOSPC when
 * full) with the fd closed. */
int journal_add(struct journal *j, const struct journal_step *step, size_t len);

/* What became of the step that was announced last. Changes nothing if that could not be added (is_lost). */
void journal_taken(struct journal *j, bool taken, dev_t dev, ino_t ino);

/* The fds that an undoing worker needs; room for JOURNAL_STEPS_MAX + 1. */
size_t journal_fds(const struct journal *j, int *fds);

/* Closes the fds of the steps. The last one to close an fd may have to wait for a file system: that is to be a worker. */
void journal_close_fds(struct journal *j);

enum undo_msg {
	/* Everything was tried: the agent is to call journal_close_fds(). Waits. */
	UNDO_MSG_DONE = 1,
};

/* job_work_fn over a struct journal: undoes all steps, latest first, each whatever became of the others. err: the first
 * that failed. Sends UNDO_MSG_DONE at the end. Worker only: may block. */
int journal_undo(struct worker *w, void *journal, struct error *err);
