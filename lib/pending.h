/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wait for the end of an operation: all that its holder (a parked call, or another operation) needs to give up.
 * Embedded in the operation or, where a request lies in its owner's memory, in the request.
 *
 * A function that starts an operation gives its pending to the caller. Then exactly one of two things happens:
 *
 *   the operation ends   its callback is called, once, and never from inside the function that started it
 *   pending_cancel()     the callback is not called, neither from inside pending_cancel() nor later
 *
 * After either of them the pending is gone. A holder drops its pointer first of all in the callback; pending_cancel()
 * drops it by itself, so a second one does nothing. The holder frees nothing: an operation frees itself, sooner or later.
 * A request in its owner's memory, and whatever a request points to, may be freed once the callback was entered or
 * pending_cancel() has returned.
 *
 * Cancelling says only that nobody waits. What becomes of the work:
 *
 *   has not begun        it never does: what waits for its turn, a device or an event is dropped
 *   reads                its worker is killed; so is that of a change that may stop anywhere (OnlineCPUMem)
 *   changes something    it runs to completion, and its result is lost
 *   makes something      its worker is killed and its steps are undone: a sandbox, container or process that nobody waits
 *                        for must not exist, and a container whose start hooks were cut off is killed
 *
 * RemoveContainer, UpdateContainer, PauseContainer and ResumeContainer run to completion even if they have not begun: they
 * keep their places in their container's queue.
 *
 * An operation that is ended early but still calls back, with an error, is not cancelled in this sense: functions that do
 * that are called abort, or (agent/job) job_cancel().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pending {
	/* The operation's own way to give up. Set when the wait begins; NULL once it is over. */
	void (*cancel)(struct pending *p);
};

/* The operation that a pending is a member of. */
#define pending_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Gives up the wait that *slot holds, and sets *slot to NULL. A slot without one is left alone. */
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

/* Tells whether somebody still waits. */
static inline bool
pending_is_wanted(const struct pending *p)
{
	return p->cancel != NULL;
}

/* Ends the wait. Returns true if the callback is to be called now, false if nobody waits any longer. */
static inline bool
pending_end(struct pending *p)
{
	bool is_wanted = pending_is_wanted(p);

	p->cancel = NULL;
	return is_wanted;
}

/* Does nothing: the `cancel` of work that runs to completion without its caller. */
static inline void
pending_go_on(struct pending *p)
{
	(void)p;
}
