/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that a worker announced, kept by the agent: what is undone when the worker does not
 * succeed. Bounded: the worker counts the same way and refuses the step that would not fit.
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

/* All zero: empty. Owns the fds and names of its steps. */
struct journal {
	struct step *steps;
	size_t n, size;
};

void journal_release(struct journal *j);

/* Adds one step and takes over step->fd; step->name (`len` bytes) is copied. 0, or -1 and errno
 * (ENOMEM, ENOSPC when full) with the fd closed. */
int journal_add(struct journal *j, const struct step *step, size_t len);

/* Notes what became of the step that was announced last. */
void journal_taken(struct journal *j, bool taken, dev_t dev, ino_t ino);

/* The fds that an undoing worker needs; room for JOURNAL_STEPS_MAX. */
size_t journal_fds(const struct journal *j, int *fds);

/* Closes the fds of the steps. The last one to close an fd may have to wait for a file system:
 * that is to be a worker. */
void journal_close_fds(struct journal *j);
