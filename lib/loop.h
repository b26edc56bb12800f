/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one epoll, no threads. Callbacks never block. Order inside a batch: timers that
 * are due, then fds, then posts, then frees. An idle loop has no wake-ups: without a timer
 * it sleeps for ever. All functions are called from the loop's own thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"

struct loop;
struct watch;
struct timer;

/* `events` are EPOLL* bits (see epoll_ctl(2)). */
typedef void watch_fn(uint32_t events, void *data);
typedef void timer_fn(void *data);

/* NULL and err when epoll or memory fails. The caller frees it with loop_free(). With the privilege to change its
 * real user id for a moment, the watches count against a quota that nothing else in the guest uses. */
struct loop *loop_new(struct error *err);

/* Frees the loop and every watch and timer that is left; closes no fd it was given. */
void loop_free(struct loop *loop);

/* Calls fn when fd has one of `events`, level-triggered. The fd stays the caller's. NULL on failure: it is the only
 * call for a watch that can fail. */
struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, watch_fn *fn, void *data,
			 struct error *err);

/* Changes the events waited for; with 0, fn is not called for errors and hang-ups either. Cannot fail: the fd stays
 * registered, so that it takes no share of a quota again. */
void watch_set_events(struct watch *w, uint32_t events);

/* Tells whether a call on the fd of the watch that failed with errnum may succeed later (io_is_for_now()). If it failed for
 * lack of memory the fd is still ready, so fn is not called for some milliseconds: the loop would spin. NULL is allowed. */
bool watch_may_retry(struct watch *w, int errnum);

/* Ends the watch; call it BEFORE closing the fd. Safe in any callback, also the watch's own: fn is
 * not called again, memory is freed after the batch. NULL is allowed. */
void loop_unwatch(struct watch *w);

/* Calls fn once after `ms` milliseconds of CLOCK_MONOTONIC. The handle is dead once fn is called. */
struct timer *loop_timer(struct loop *loop, uint64_t ms, timer_fn *fn, void *data,
			 struct error *err);

/* Ends a timer that has not fired. NULL is allowed. */
void timer_cancel(struct timer *t);

/* Work for later in this batch. Its memory is the owner's, so that posting it cannot fail. */
struct post {
	struct list node;
	timer_fn *fn;
	void *data;
};

void post_init(struct post *p, timer_fn *fn, void *data);

/* Calls p->fn once, later in this batch or at the start of the next; never from inside this call. Posted again
 * before that: still once. */
void loop_post(struct loop *loop, struct post *p);

/* Tells whether p->fn is still to be called. */
static inline bool
post_is_pending(const struct post *p)
{
	return !list_is_empty(&p->node);
}

/* Takes the call back. Changes nothing if it was never posted. */
void post_cancel(struct post *p);

/* Runs until loop_stop(). 0, or -1 when epoll_wait fails for good. */
int loop_run(struct loop *loop, struct error *err);

/* One batch, waiting at most timeout_ms (-1: for ever). For tests and shutdown. */
int loop_run_once(struct loop *loop, int timeout_ms, struct error *err);

/* Makes loop_run() return after the batch. */
void loop_stop(struct loop *loop);
