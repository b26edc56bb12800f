/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wait for the end of an operation: the handle by which its holder (a parked call, or another
 * operation) cancels it. Embedded in the operation or, if the owner of a request allocates it, in
 * the request.
 *
 * A function that starts an operation returns its pending to the caller. Then exactly one of two
 * things happens:
 *
 *   the operation ends   its callback is called, once, never from inside the function that
 *                        started it
 *   pending_cancel()     the callback is never called, neither from inside pending_cancel() nor
 *                        later
 *
 * After either of them the pending is invalid. A callback clears the holder's pointer first;
 * pending_cancel() clears it, too, so that a second call does nothing. The holder frees nothing: an
 * operation frees itself. A request that is allocated by its owner, and the data it points to, may
 * be freed once the callback has been entered or pending_cancel() has returned.
 *
 * Cancelling ends only the wait. Its effect on the work depends on the kind of operation:
 *
 *   not started yet      it is dropped, whether it waits for its turn, a device or an event
 *   reads                its worker is killed; so is that of a change that may stop at any point
 *                        (OnlineCPUMem)
 *   changes something    it runs to completion, and its result is dropped
 *   creates something    its worker is killed and its steps are undone: a sandbox, container or
 *                        process whose creation was cancelled must not exist, and a container
 *                        whose start hooks were interrupted is killed
 *
 * RemoveContainer, UpdateContainer, PauseContainer and ResumeContainer run to completion even if
 * they have not started: they keep their places in the queue of their container.
 *
 * An operation that is ended early but still calls back, with an error, is not cancelled in this
 * sense: such functions are called abort, or job_cancel() in agent/job.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pending {
	/* Cancels the operation. Set when the wait starts, NULL once it has ended. */
	void (*cancel)(struct pending *p);
};

/* Returns the operation that contains a pending. */
#define pending_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Cancels the wait in *slot, if any, and sets *slot to NULL. */
static inline void
pending_cancel(struct pending **slot)
{
	struct pending *p = *slot;
	void (*cancel)(struct pending * p);

	*slot = NULL;
	if (!p || !p->cancel)
		return;
	cancel = p->cancel;
	p->cancel = NULL;
	cancel(p);
}

/* ---- for operations ---- */

/* Returns whether the wait has neither ended nor been cancelled. */
static inline bool
pending_is_wanted(const struct pending *p)
{
	return p->cancel != NULL;
}

/* Ends the wait. Returns whether the callback is to be called, which it is unless the wait was
 * cancelled. */
static inline bool
pending_end(struct pending *p)
{
	bool is_wanted = pending_is_wanted(p);

	p->cancel = NULL;
	return is_wanted;
}

/* The `cancel` of work that runs to completion without its caller. Does nothing. */
static inline void
pending_go_on(struct pending *p)
{
	(void)p;
}
