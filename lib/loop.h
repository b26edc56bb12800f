/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one epoll instance, no threads. Callbacks never block. The order in a batch is:
 * timers that are due, fds, posts, frees. An idle loop has no wake-ups. All functions must be
 * called from the thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/list.h"

struct loop;
struct watch;
struct timer;

/* `events` are EPOLL* bits of epoll_ctl(2). */
typedef void watch_fn(uint32_t events, void *data);
typedef void timer_fn(void *data);

/* Creates a loop. Returns NULL and err if epoll or memory fails. If the process may change its real
 * user id, the watches count against a quota that no other process in the guest uses. */
struct loop *loop_new(struct error *err);

/* Frees the loop with all watches and timers. Does not close fds of watches. */
void loop_free(struct loop *loop);

/* Calls fn when one of `events` occurs on fd, level-triggered. The caller owns the fd. Returns NULL
 * on failure; no other call for a watch can fail. */
struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, watch_fn *fn, void *data,
			 struct error *err);

/* Changes the events of a watch; with 0, fn is not called for errors and hang-ups either. Cannot
 * fail, because the fd stays registered and keeps its share of the quota. */
void watch_set_events(struct watch *w, uint32_t events);

/* Tells whether a call on the fd of the watch that failed with errnum may succeed later
 * (io_is_for_now()). If it failed for lack of memory the fd is still ready, so fn is not called
 * for some milliseconds: the loop would spin. NULL is allowed. */
bool watch_may_retry(struct watch *w, int errnum);

/* Removes the watch. Must be called before the fd is closed. Safe in any callback, including that
 * of the watch: fn is not called again, and memory is freed after the batch. NULL is allowed. */
void loop_unwatch(struct watch *w);

/* Calls fn once after `ms` milliseconds of CLOCK_MONOTONIC. The handle is invalid once fn is
 * called. */
struct timer *loop_timer(struct loop *loop, uint64_t ms, timer_fn *fn, void *data,
			 struct error *err);

/* Cancels a timer that has not fired. NULL is allowed. */
void timer_cancel(struct timer *t);

/* Work to do later in the batch. Allocated by its owner, so that posting cannot fail. */
struct post {
	struct list node;
	timer_fn *fn;
	void *data;
};

void post_init(struct post *p, timer_fn *fn, void *data);

/* Calls p->fn once, later in this batch or at the start of the next, never from inside this
 * function. Posting it twice before that has no further effect. */
void loop_post(struct loop *loop, struct post *p);

/* Returns whether p->fn is yet to be called. */
static inline bool
post_is_pending(const struct post *p)
{
	return !list_is_empty(&p->node);
}

/* Cancels the post, if any. */
void post_cancel(struct post *p);

/* Runs until loop_stop(). Returns 0, or -1 if epoll_wait(2) fails permanently. */
int loop_run(struct loop *loop, struct error *err);

/* Runs one batch, waiting at most timeout_ms (-1: no limit). For tests and shutdown. */
int loop_run_once(struct loop *loop, int timeout_ms, struct error *err);

/* Makes loop_run() return after the current batch. */
void loop_stop(struct loop *loop);
