/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of an undo, which is a job itself. */
#pragma once

#include "agent/job/worker.h"

enum undo_msg {
	/* Every step was tried: the agent calls journal_close_fds(). Waits for the reply. */
	UNDO_MSG_DONE = 1,
};

/* Undoes the steps of a struct journal, latest first: all of them, even if some fail. err is the
 * first failure. Worker only: may block, and is abandoned after its deadline. */
int undo_work(struct worker *w, void *arg, struct error *err);
