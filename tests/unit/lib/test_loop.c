/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: order, removal in callbacks, timers, and a kernel that rejects further
 * watches. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/loop.h"
#include "tests/support/check.h"

/* Exhausts fs.epoll.max_user_watches. */
static bool quota_reached;

/* Replaces that of the C library. */
int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && quota_reached) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

/* The real user id during the creation of the epoll instance. */
static uid_t created_by;

/* Replaces that of the C library. */
int
epoll_create1(int flags)
{
	created_by = getuid();
	return (int)syscall(SYS_epoll_create1, flags);
}

struct two {
	struct loop *loop;
	int a[2], b[2];
	struct watch *wa, *wb;
	int calls_a, calls_b;
};

static void
on_a(uint32_t events, void *data)
{
	struct two *t = data;

	(void)events;
	t->calls_a++;
	/* The other one, which may be due in this batch. */
	loop_unwatch(t->wb);
	/* And itself. */
	loop_unwatch(t->wa);
	t->wa = t->wb = NULL;
}

static void
on_b(uint32_t events, void *data)
{
	struct two *t = data;

	(void)events;
	t->calls_b++;
	loop_unwatch(t->wa);
	loop_unwatch(t->wb);
	t->wa = t->wb = NULL;
}

Test(loop, a_callback_may_remove_any_watch)
{
	struct error err = ERROR_INIT;
	struct two t = { 0 };

	t.loop = loop_new(&err);
	REQUIRE(t.loop);
	REQUIRE_EQ(pipe(t.a), 0);
	REQUIRE_EQ(pipe(t.b), 0);
	t.wa = loop_watch(t.loop, t.a[0], EPOLLIN, on_a, &t, &err);
	t.wb = loop_watch(t.loop, t.b[0], EPOLLIN, on_b, &t, &err);
	REQUIRE_EQ(write(t.a[1], "x", 1), 1);
	REQUIRE_EQ(write(t.b[1], "x", 1), 1);
	for (int i = 0; i < 3; i++)
		REQUIRE_OK(loop_run_once(t.loop, 0, &err), &err);
	REQUIRE_EQ(t.calls_a + t.calls_b, 1, "the first callback removed both");
	loop_free(t.loop);
	for (int i = 0; i < 2; i++) {
		close(t.a[i]);
		close(t.b[i]);
	}
}

static char order[16];
static size_t order_n;

static void
note(void *data)
{
	order[order_n++] = *(const char *)data;
}

Test(loop, timers_fire_in_order_of_their_time)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct timer *dropped;

	order_n = 0;
	REQUIRE(loop_timer(loop, 20, note, (void *)(uintptr_t) "c", &err));
	REQUIRE(loop_timer(loop, 1, note, (void *)(uintptr_t) "a", &err));
	dropped = loop_timer(loop, 5, note, (void *)(uintptr_t) "x", &err);
	REQUIRE(loop_timer(loop, 10, note, (void *)(uintptr_t) "b", &err));
	timer_cancel(dropped);
	REQUIRE(loop_timer(loop, UINT64_MAX, note, (void *)(uintptr_t) "z", &err),
		"a time past the end of the clock means no limit");
	for (int i = 0; i < 50 && order_n < 3; i++)
		REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
	order[order_n] = '\0';
	REQUIRE_STR(order, "abc");
	loop_free(loop);
}

static void
count(uint32_t events, void *data)
{
	(void)events;
	++*(int *)data;
}

Test(loop, a_muted_watch_is_silent_even_at_hang_up)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct watch *w;
	int fds[2], calls = 0;

	REQUIRE_EQ(pipe(fds), 0);
	w = loop_watch(loop, fds[0], EPOLLIN, count, &calls, &err);
	watch_set_events(w, 0);
	close(fds[1]);
	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
	REQUIRE_EQ(calls, 0);
	watch_set_events(w, EPOLLIN);
	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
	REQUIRE_EQ(calls, 1);
	loop_unwatch(w);
	close(fds[0]);
	loop_free(loop);
}

/* The watches of each loop are counted for a user id of its own. */
Test(loop, the_quota_is_its_own)
{
	struct error err = ERROR_INIT;
	struct loop *a, *b;
	uid_t first;

	if (getuid() != 0)
		cr_skip_test("another user id needs root");
	a = loop_new(&err);
	first = created_by;
	b = loop_new(&err);
	REQUIRE(a && b, "%s", err.msg);
	CHECK_GE(first, 0x80000000u);
	CHECK_GE(created_by, 0x80000000u);
	CHECK_NE(created_by, first);
	CHECK_EQ(getuid(), 0);
	loop_free(a);
	loop_free(b);
}

Test(loop, a_watch_is_unmuted_when_the_quota_is_reached)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct watch *muted, *muted_from_the_start;
	int a[2], b[2], calls_a = 0, calls_b = 0;

	REQUIRE_EQ(pipe(a), 0);
	REQUIRE_EQ(pipe(b), 0);
	muted = loop_watch(loop, a[0], EPOLLIN, count, &calls_a, &err);
	watch_set_events(muted, 0);
	muted_from_the_start = loop_watch(loop, b[0], 0, count, &calls_b, &err);
	REQUIRE_EQ(write(a[1], "x", 1), 1);
	REQUIRE_EQ(write(b[1], "x", 1), 1);
	quota_reached = true;
	watch_set_events(muted, EPOLLIN);
	watch_set_events(muted_from_the_start, EPOLLIN);
	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
	CHECK_EQ(calls_a, 1);
	CHECK_EQ(calls_b, 1);
	loop_unwatch(muted);
	loop_unwatch(muted_from_the_start);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	loop_free(loop);
}

Test(loop, a_watch_beyond_the_quota_is_an_error_even_if_muted)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	int fds[2], calls = 0;

	REQUIRE_EQ(pipe(fds), 0);
	quota_reached = true;
	CHECK_EQ(loop_watch(loop, fds[0], 0, count, &calls, &err), NULL);
	CHECK_EQ(err.errnum, ENOSPC);
	close(fds[0]);
	close(fds[1]);
	loop_free(loop);
}

Test(loop, a_muted_watch_that_is_hung_up_does_not_keep_the_loop_awake)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct watch *w;
	int fds[2], calls = 0;
	uint64_t start;

	REQUIRE_EQ(pipe(fds), 0);
	w = loop_watch(loop, fds[0], EPOLLIN, count, &calls, &err);
	watch_set_events(w, 0);
	close(fds[1]);
	/* The hang-up is reported once, and ignored. */
	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
	start = monotonic_ns();
	REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	CHECK_GE(monotonic_ns() - start, 40000000u);
	CHECK_EQ(calls, 0);
	loop_unwatch(w);
	/* Nor one that starts muted. */
	w = loop_watch(loop, fds[0], 0, count, &calls, &err);
	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
	start = monotonic_ns();
	REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	CHECK_GE(monotonic_ns() - start, 40000000u);
	loop_unwatch(w);
	close(fds[0]);
	loop_free(loop);
}

Test(loop, the_real_user_is_the_same_after_a_loop_was_made)
{
	struct error err = ERROR_INIT;
	uid_t real, effective, saved, after[3];
	struct loop *loop;

	REQUIRE_EQ(getresuid(&real, &effective, &saved), 0);
	loop = loop_new(&err);
	REQUIRE(loop);
	REQUIRE_EQ(getresuid(&after[0], &after[1], &after[2]), 0);
	CHECK_EQ(after[0], real);
	CHECK_EQ(after[1], effective);
	CHECK_EQ(after[2], saved);
	loop_free(loop);
}

/* ---- watches that rest ---- */

struct tired {
	struct watch *w;
	int calls, errnum;
	bool may_retry;
};

static void
on_tired(uint32_t events, void *data)
{
	struct tired *t = data;

	(void)events;
	t->calls++;
	t->may_retry = watch_may_retry(t->w, t->errnum);
}

static void
run_for(struct loop *loop, int ms)
{
	struct error err = ERROR_INIT;
	uint64_t end = monotonic_ns() + (uint64_t)ms * 1000000;
	int left;

	while ((left = deadline_left_ms(end)) > 0)
		REQUIRE_OK(loop_run_once(loop, left, &err), &err);
}

Test(loop, a_ready_fd_without_memory_is_no_busy_loop)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct tired t = { .errnum = ENOBUFS };
	int before, fds[2];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t.w = loop_watch(loop, fds[0], EPOLLOUT, on_tired, &t, &err);
	REQUIRE(t.w);
	run_for(loop, 100);
	REQUIRE(t.may_retry);
	REQUIRE_GE(t.calls, 2, "it is tried again");
	REQUIRE_LE(t.calls, 11);

	t.errnum = ENOMEM;
	before = t.calls;
	run_for(loop, 100);
	REQUIRE_LE(t.calls - before, 11);

	/* Events that are set during a rest are valid after it. */
	watch_set_events(t.w, 0);
	before = t.calls;
	run_for(loop, 30);
	REQUIRE_EQ(t.calls, before);
	watch_set_events(t.w, EPOLLOUT);
	run_for(loop, 30);
	REQUIRE_GT(t.calls, before);

	/* a full socket waits for room by itself, and needs no rest */
	t.errnum = EAGAIN;
	run_for(loop, 30);
	before = t.calls;
	run_for(loop, 30);
	REQUIRE(t.may_retry);
	REQUIRE_GT(t.calls - before, 11);

	t.errnum = EPIPE;
	run_for(loop, 30);
	REQUIRE(!t.may_retry);

	t.errnum = ENOBUFS;
	run_for(loop, 30);
	loop_unwatch(t.w);
	before = t.calls;
	run_for(loop, 30);
	REQUIRE_EQ(t.calls, before);
	REQUIRE(watch_may_retry(NULL, ENOBUFS));
	close(fds[0]);
	close(fds[1]);
	loop_free(loop);
}

/* ---- posts ---- */

struct posted {
	struct loop *loop;
	struct post post, other;
	int calls;
	bool again;
};

static void
on_post(void *data)
{
	struct posted *p = data;

	p->calls++;
	if (p->again)
		loop_post(p->loop, &p->post);
}

static void
cancel_other(void *data)
{
	struct posted *p = data;

	p->calls++;
	post_cancel(&p->other);
}

static void
a_batch(struct loop *loop)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

Test(loop, posts_run_in_the_order_they_came_and_never_at_once)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct post a, b;

	order_n = 0;
	post_init(&a, note, (void *)(uintptr_t) "a");
	post_init(&b, note, (void *)(uintptr_t) "b");
	loop_post(loop, &b);
	loop_post(loop, &a);
	/* It keeps its place. */
	loop_post(loop, &b);
	REQUIRE_EQ(order_n, 0);
	a_batch(loop);
	order[order_n] = '\0';
	REQUIRE_STR(order, "ba");
	a_batch(loop);
	REQUIRE_EQ(order_n, 2, "each once");
	loop_post(loop, &a);
	a_batch(loop);
	REQUIRE_EQ(order_n, 3, "it may be posted again afterwards");
	loop_free(loop);
}

Test(loop, a_cancelled_post_does_not_run)
{
	struct error err = ERROR_INIT;
	struct posted p = { .loop = loop_new(&err) };

	post_init(&p.post, on_post, &p);
	/* Never posted. */
	post_cancel(&p.post);
	loop_post(p.loop, &p.post);
	REQUIRE(post_is_pending(&p.post));
	post_cancel(&p.post);
	post_cancel(&p.post);
	REQUIRE(!post_is_pending(&p.post));
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 0);
	loop_post(p.loop, &p.post);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 1);

	/* Cancelled by another one of the same batch. */
	post_init(&p.other, on_post, &p);
	post_init(&p.post, cancel_other, &p);
	loop_post(p.loop, &p.post);
	loop_post(p.loop, &p.other);
	a_batch(p.loop);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 2);
	loop_free(p.loop);
}

Test(loop, a_post_from_its_own_callback_waits_for_the_next_batch)
{
	struct error err = ERROR_INIT;
	struct posted p = { .loop = loop_new(&err), .again = true };

	post_init(&p.post, on_post, &p);
	loop_post(p.loop, &p.post);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 1);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 2);
	p.again = false;
	a_batch(p.loop);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 3);
	loop_free(p.loop);
}

static void
free_own_memory(void *data)
{
	struct posted *p = data;

	order[order_n++] = 'f';
	free(p);
}

Test(loop, a_post_may_free_its_memory_when_it_runs)
{
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	struct posted *p = calloc(1, sizeof(*p));

	REQUIRE(p);
	order_n = 0;
	post_init(&p->post, free_own_memory, p);
	loop_post(loop, &p->post);
	a_batch(loop);
	a_batch(loop);
	REQUIRE_EQ(order_n, 1);
	loop_free(loop);
}

Test(loop, a_post_outlives_the_loop_that_it_waits_in)
{
	struct error err = ERROR_INIT;
	struct posted p = { .loop = loop_new(&err) };

	post_init(&p.post, on_post, &p);
	loop_post(p.loop, &p.post);
	loop_free(p.loop);
	REQUIRE_EQ(p.calls, 0);
	/* Its owner frees it later, or moves it to another list. */
	post_cancel(&p.post);
	p.loop = loop_new(&err);
	loop_post(p.loop, &p.post);
	a_batch(p.loop);
	REQUIRE_EQ(p.calls, 1);
	loop_free(p.loop);
}

Test(loop, a_post_wakes_a_loop_that_would_sleep)
{
	struct error err = ERROR_INIT;
	struct posted p = { .loop = loop_new(&err) };

	post_init(&p.post, on_post, &p);
	loop_post(p.loop, &p.post);
	REQUIRE_OK(loop_run_once(p.loop, -1, &err), &err);
	REQUIRE_EQ(p.calls, 1);
	loop_free(p.loop);
}
