/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that a worker announced, kept by the agent and undone if the worker fails. Bounded: the
 * worker counts its steps as well and refuses one that would not fit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/job/wire.h"
#include "agent/job/worker.h"

/* All zero: empty. Owns the fds and names of its steps. */
struct journal {
	struct step *steps;
	size_t n, size;
};

void journal_release(struct journal *j);

/* Adds one step and takes ownership of step->fd; copies step->name (`len` bytes). Returns 0, or -1
 * and errno (ENOMEM, ENOSPC when full) with the fd closed. */
int journal_add(struct journal *j, const struct step *step, size_t len);

/* Records the outcome of step number `n`, if there is one. */
void journal_taken(struct journal *j, size_t n, bool taken, dev_t dev, ino_t ino);

/* Gets the fds that an undo worker needs; fds has room for JOURNAL_STEPS_MAX. Returns their
 * number. */
size_t journal_fds(const struct journal *j, int *fds);

/* Closes the fds of the steps. Closing the last copy of an fd may have to wait for a file system,
 * so a worker must close its copy later. */
void journal_close_fds(struct journal *j);
