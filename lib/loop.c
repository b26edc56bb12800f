/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop. A removed watch is unregistered at once, but freed after the batch, so that a
 * callback may remove any watch, including its own. The first timer determines the timeout.
 *
 * The kernel counts the watches of each user (fs.epoll.max_user_watches), and root in a container
 * without a user namespace is the same user as the agent. Two measures keep a container from
 * exhausting the agent's share: the epoll instance belongs to a user id that no other process has,
 * and an fd stays registered until loop_unwatch(), so that only loop_watch() can fail.
 */
#include "lib/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/sys.h"
#include "lib/timers.h"

#define BATCH 64

/* Events of a muted watch. Errors and hang-ups are always reported, but only once with this
 * flag. */
#define MUTED EPOLLONESHOT

/* Time that a watch rests if its fd is ready but the kernel lacks memory for the call. */
#define REST_NS 10000000u

/* First user id of owners of epoll instances; 30 random bits are added, so that a container cannot
 * guess it. */
#define QUOTA_UID_FIRST 0x80000000u
#define QUOTA_UID_MASK  0x3fffffffu

struct loop {
	int epfd;
	bool stop;
	struct list watches;
	struct timers timers;
	/* In the order of posting. */
	struct list posts;
	/* watches, by `rest`, the first to end its rest first */
	struct list resting;
	/* Watches removed in this batch. */
	struct list dead;
};

struct watch {
	struct list node;
	struct loop *loop;
	int fd;
	/* 0 if muted. */
	uint32_t events;
	/* in `resting`, or in no list */
	struct list rest;
	uint64_t rest_until_ns;
	/* NULL if removed. */
	watch_fn *fn;
	void *data;
};

static int loop_create_epoll(void);
static void loop_free_watches(struct list *head);
static int loop_wait_ms(const struct loop *loop, int limit);
static void loop_end_rests(struct loop *loop);
static void loop_run_timers(struct loop *loop);
static void loop_run_posts(struct loop *loop);

static bool
watch_rests(const struct watch *w)
{
	return !list_is_empty(&w->rest);
}

/* Has epoll report `events`, 0: nothing. Takes no memory and no share of a quota: it fails only
 * for an fd that was closed before loop_unwatch(). */
static int
watch_apply(struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events ? events : MUTED };

	ev.data.ptr = w;
	return epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev);
}

struct loop *
loop_new(struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		error_nomem(err, "creating the event loop");
		return NULL;
	}
	list_init(&loop->watches);
	list_init(&loop->posts);
	list_init(&loop->resting);
	list_init(&loop->dead);
	loop->epfd = loop_create_epoll();
	if (loop->epfd < 0) {
		error_sys(err, "failed to create the event loop");
		free(loop);
		return NULL;
	}
	return loop;
}

/* Returns an epoll instance whose watches are counted for a user id that no other process has: the
 * kernel uses the real user id of its creator. An unprivileged process keeps its own user id. */
static int
loop_create_epoll(void)
{
	uid_t saved = getuid();
	uint32_t random;
	int fd, errnum;

	sys_random(&random, sizeof(random));
	if (setresuid(QUOTA_UID_FIRST + (random & QUOTA_UID_MASK), (uid_t)-1, (uid_t)-1) < 0)
		return epoll_create1(EPOLL_CLOEXEC);
	fd = epoll_create1(EPOLL_CLOEXEC);
	errnum = errno;
	/* Cannot fail for the effective id. Continuing as another user would be worse than
	 * exiting. */
	if (setresuid(saved, (uid_t)-1, (uid_t)-1) < 0)
		abort();
	errno = errnum;
	return fd;
}

void
loop_free(struct loop *loop)
{
	struct list *pos, *tmp;

	if (!loop)
		return;
	loop_free_watches(&loop->watches);
	loop_free_watches(&loop->dead);
	timers_release(&loop->timers);
	list_for_each_safe (pos, tmp, &loop->posts)
		list_remove(pos);
	(void)close(loop->epfd);
	free(loop);
}

static void
loop_free_watches(struct list *head)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, head) {
		list_remove(pos);
		free(list_entry(pos, struct watch, node));
	}
}

struct watch *
loop_watch(struct loop *loop, int fd, uint32_t events, watch_fn *fn, void *data, struct error *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct epoll_event ev = { .events = events ? events : MUTED };

	if (!w) {
		error_nomem(err, "watching a file descriptor");
		return NULL;
	}
	ev.data.ptr = w;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		error_sys(err, "failed to watch descriptor %d", fd);
		free(w);
		return NULL;
	}
	w->loop = loop;
	w->fd = fd;
	w->events = events;
	w->fn = fn;
	w->data = data;
	list_init(&w->rest);
	list_append(&loop->watches, &w->node);
	return w;
}

void
watch_set_events(struct watch *w, uint32_t events)
{
	if (events != w->events && (watch_rests(w) || watch_apply(w, events) == 0))
		w->events = events;
}

bool
watch_may_retry(struct watch *w, int errnum)
{
	if (!io_is_for_now(errnum))
		return false;
	if ((errnum != ENOBUFS && errnum != ENOMEM) || !w || !w->fn || watch_rests(w) ||
	    watch_apply(w, 0) < 0)
		return true;
	w->rest_until_ns = monotonic_ns() + REST_NS;
	list_append(&w->loop->resting, &w->rest);
	return true;
}

void
loop_unwatch(struct watch *w)
{
	if (!w)
		return;
	(void)epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->events = 0;
	w->fn = NULL;
	list_remove(&w->rest);
	list_remove(&w->node);
	list_append(&w->loop->dead, &w->node);
}

struct timer *
loop_timer(struct loop *loop, uint64_t ms, timer_fn *fn, void *data, struct error *err)
{
	return timers_add(&loop->timers, deadline_in(ms), fn, data, err);
}

void
timer_cancel(struct timer *t)
{
	if (t)
		timers_remove(t);
}

void
post_init(struct post *p, timer_fn *fn, void *data)
{
	list_init(&p->node);
	p->fn = fn;
	p->data = data;
}

void
loop_post(struct loop *loop, struct post *p)
{
	if (!post_is_pending(p))
		list_append(&loop->posts, &p->node);
}

void
post_cancel(struct post *p)
{
	list_remove(&p->node);
}

int
loop_run_once(struct loop *loop, int timeout_ms, struct error *err)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(loop->epfd, events, BATCH, loop_wait_ms(loop, timeout_ms));

	if (n < 0 && errno != EINTR)
		return error_sys(err, "failed to wait for events");
	loop_end_rests(loop);
	loop_run_timers(loop);
	for (int i = 0; i < n; i++) {
		struct watch *w = events[i].data.ptr;

		/* it may have been removed, muted or put to rest earlier in this batch */
		if (w->fn && w->events && !watch_rests(w))
			w->fn(events[i].events, w->data);
	}
	loop_run_posts(loop);
	loop_free_watches(&loop->dead);
	return 0;
}

static struct watch *
loop_first_resting(const struct loop *loop)
{
	return list_is_empty(&loop->resting) ? NULL
					     : list_entry(loop->resting.next, struct watch, rest);
}

static int
loop_wait_ms(const struct loop *loop, int limit)
{
	const struct timer *first = timers_first(&loop->timers);
	const struct watch *resting = loop_first_resting(loop);
	uint64_t due_ns = first ? first->due_ns : UINT64_MAX;
	int ms;

	if (!list_is_empty(&loop->posts))
		return 0;
	if (resting && resting->rest_until_ns < due_ns)
		due_ns = resting->rest_until_ns;
	ms = deadline_left_ms(due_ns);
	return ms < 0 || (limit >= 0 && limit < ms) ? limit : ms;
}

static void
loop_end_rests(struct loop *loop)
{
	struct watch *w;
	uint64_t now;

	if (list_is_empty(&loop->resting))
		return;
	now = monotonic_ns();
	while ((w = loop_first_resting(loop)) && w->rest_until_ns <= now) {
		list_remove(&w->rest);
		(void)watch_apply(w, w->events);
	}
}

static void
loop_run_timers(struct loop *loop)
{
	uint64_t now = monotonic_ns();

	for (struct timer *t; (t = timers_first(&loop->timers)) != NULL && t->due_ns <= now;) {
		timer_fn *fn = t->fn;
		void *data = t->data;

		timers_remove(t);
		fn(data);
	}
}

/* Work that is posted here runs in the next batch, so that a batch always ends. */
static void
loop_run_posts(struct loop *loop)
{
	struct list todo;
	struct list *head = &loop->posts;

	if (list_is_empty(head))
		return;
	todo = *head;
	todo.next->prev = &todo;
	todo.prev->next = &todo;
	list_init(head);
	while (!list_is_empty(&todo)) {
		struct post *p = list_entry(todo.next, struct post, node);

		list_remove(&p->node);
		p->fn(p->data);
	}
}

int
loop_run(struct loop *loop, struct error *err)
{
	loop->stop = false;
	while (!loop->stop)
		if (loop_run_once(loop, -1, err) < 0)
			return -1;
	return 0;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}
