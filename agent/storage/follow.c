/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker that keeps the copies of the volumes of one share like their sources.
 *
 *	follow_start() -> order with the place's fd and the end of a pipe -> the worker opens both
 *	sides -> polls -> the loop closes its end of the pipe -> the worker closes the volume
 *
 * No share in Linux reports changes that its host makes, so the worker polls, for all volumes at
 * the same time. A poll is one system call for each volume, on its root directory: whatever a
 * kubelet changes changes that, too. After a change the worker copies repeatedly for a while: the
 * change may have several steps, and the guest may have cached a former state for a second.
 *
 * A share that hangs stops its own worker only. When the last volume of a worker is released, the
 * worker is killed, or abandoned if it hangs.
 */
#include "agent/storage/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/mirror.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/log_event.h"

/* Between two polls. */
#define POLL_MS 2000
/* Between two polls, and for how long, after a change. */
#define BUSY_POLL_MS 250
#define BUSY_MS      3000
/* Between two comparisons of whole trees: of a volume with versions, where they can only find
 * changes that no kubelet makes, and of another one. But they take at most a hundredth of the
 * time. */
#define COMPARE_VERSIONS_MS 30000
#define COMPARE_MS          POLL_MS
#define COMPARE_RATIO       100
#define COMPARE_MAX_MS      600000
/* After a failure, doubled each time up to this. */
#define RETRY_MS     POLL_MS
#define RETRY_MAX_MS 64000
/* Lets the kernel join the timer with others. */
#define SLACK_NS 200000000ul
/* A worker that dies is replaced this often. */
#define RESTARTS_MAX 16

struct follow_order {
	char source[PATH_MAX];
};

/* ---- the worker ---- */

struct follower_side {
	struct worker *w;
	const struct roots *roots;
	struct loop *loop;
	int sock;
	struct watch *watch;
	struct timer *timer;
	struct list volumes;
};

struct volume {
	struct list node;
	struct follower_side *side;
	struct mirror mirror;
	char *source;
	/* The pipe's end, at its end when the volume is released. */
	int life;
	struct watch *watch;
	uint64_t busy_until_ns, compare_at_ns;
	uint64_t retry_ms;
	/* The failure is in the log. */
	bool is_reported;
};

static void
volume_free(struct volume *v)
{
	list_remove(&v->node);
	loop_unwatch(v->watch);
	close_fd(&v->life);
	mirror_close(&v->mirror);
	free(v->source);
	free(v);
}

static void
on_life(uint32_t events, void *data)
{
	(void)events;
	volume_free(data);
}

static void
volume_event(const struct volume *v, enum log_level level, const char *event, const char *text)
{
	const struct log_field fields[] = { { "source", v->source } };

	worker_event(v->side->w, level, event, fields, ARRAY_LEN(fields), "volume %s %s", v->source,
		     text);
}

/* Records the outcome of a copy, and when to compare again. */
static void
volume_copied(struct volume *v, int result, uint64_t began_ns, const struct error *err)
{
	uint64_t now = monotonic_ns(), took_ms = (now - began_ns) / NS_PER_MS, wait;

	if (result < 0 && err->code != ERROR_ABORTED) {
		v->retry_ms = v->retry_ms ? v->retry_ms * 2 : RETRY_MS;
		if (v->retry_ms > RETRY_MAX_MS)
			v->retry_ms = RETRY_MAX_MS;
		v->busy_until_ns = 0;
		v->compare_at_ns = now + v->retry_ms * NS_PER_MS;
		if (!v->is_reported)
			volume_event(v, LOG_LEVEL_WARN, EVENT_VOLUME_STALE, err->msg);
		v->is_reported = true;
		return;
	}
	if (result >= 0 && v->is_reported)
		volume_event(v, LOG_LEVEL_INFO, EVENT_VOLUME_UPDATED, "follows its source again");
	else if (result > 0)
		volume_event(v, LOG_LEVEL_DEBUG, EVENT_VOLUME_UPDATED, "was updated");
	if (result >= 0)
		v->is_reported = false;
	v->retry_ms = 0;
	if (result != 0)
		v->busy_until_ns = now + BUSY_MS * NS_PER_MS;
	if (now < v->busy_until_ns)
		wait = took_ms * COMPARE_RATIO / 10;
	else if (v->mirror.has_versions)
		wait = COMPARE_VERSIONS_MS;
	else
		wait = COMPARE_MS;
	if (wait < took_ms * COMPARE_RATIO && now >= v->busy_until_ns)
		wait = took_ms * COMPARE_RATIO;
	if (wait > COMPARE_MAX_MS)
		wait = COMPARE_MAX_MS;
	v->compare_at_ns = now + wait * NS_PER_MS;
}

/* Opens the source anew after it was removed. Returns whether it is there. */
static bool
volume_reopen(struct volume *v, struct error *err)
{
	int source = watchable_open_source(v->side->roots, v->source, err);

	if (source < 0)
		return false;
	mirror_set_source(&v->mirror, source);
	return true;
}

static void
volume_poll(struct volume *v)
{
	struct error err = ERROR_INIT;
	uint64_t now = monotonic_ns();
	int changed, result;

	/* A failure: nothing before its time. */
	if (v->retry_ms && now < v->compare_at_ns)
		return;
	changed = mirror_has_changed(&v->mirror);
	if (changed == 0 && now < v->compare_at_ns)
		return;
	if (changed < 0 && !volume_reopen(v, &err)) {
		volume_copied(v, -1, now, &err);
		return;
	}
	result = mirror_sync(&v->mirror, &err);
	if (changed != 0 && result == 0)
		v->busy_until_ns = monotonic_ns() + BUSY_MS * NS_PER_MS;
	volume_copied(v, result, now, &err);
}

static void follower_arm(struct follower_side *side);

static void
on_poll(void *data)
{
	struct follower_side *side = data;
	struct list *pos, *next;

	side->timer = NULL;
	list_for_each_safe (pos, next, &side->volumes)
		volume_poll(list_entry(pos, struct volume, node));
	follower_arm(side);
}

/* Sets the timer of the next poll. */
static void
follower_arm(struct follower_side *side)
{
	struct error err = ERROR_INIT;
	uint64_t now = monotonic_ns(), ms = POLL_MS;
	struct list *pos;

	timer_cancel(side->timer);
	side->timer = NULL;
	if (list_is_empty(&side->volumes))
		return;
	list_for_each (pos, &side->volumes)
		if (now < list_entry(pos, struct volume, node)->busy_until_ns)
			ms = BUSY_POLL_MS;
	side->timer = loop_timer(side->loop, ms, on_poll, side, &err);
	/* Without a timer nothing would be followed: the worker is replaced. */
	if (!side->timer)
		loop_stop(side->loop);
}

static void
volume_add(struct follower_side *side, const char *source, int place, int life)
{
	struct volume *v = calloc(1, sizeof(*v));
	struct error err = ERROR_INIT;
	int from = -1;

	if (!v) {
		close_fd(&life);
		return;
	}
	list_init(&v->node);
	*v = (struct volume){ .side = side, .mirror = MIRROR_NONE, .life = life };
	list_init(&v->node);
	v->source = strdup(source);
	v->watch = v->source ? loop_watch(side->loop, life, EPOLLIN, on_life, v, &err) : NULL;
	if (v->watch)
		from = watchable_open_source(side->roots, source, &err);
	/* A source that is not there is looked for again by volume_poll(). */
	if (!v->watch || mirror_open(&v->mirror, from, place, false, &err) < 0) {
		if (v->source)
			volume_event(v, LOG_LEVEL_WARN, EVENT_VOLUME_STALE, err.msg);
		volume_free(v);
		return;
	}
	/* The source may have changed since it was copied first. */
	v->busy_until_ns = monotonic_ns() + BUSY_MS * NS_PER_MS;
	list_append(&side->volumes, &v->node);
	follower_arm(side);
}

static void
on_order(uint32_t events, void *data)
{
	struct follower_side *side = data;
	struct follow_order order;
	int fds[IO_FDS_MAX];
	size_t n_fds = 0;
	ssize_t n = recv_msg(side->sock, &order, sizeof(order), fds, &n_fds, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && watch_may_retry(side->watch, errno))
		return;
	if (n <= 0) {
		/* The agent has exited. */
		loop_stop(side->loop);
		return;
	}
	if (n_fds == 2 && order.source[n - 1] == '\0') {
		volume_add(side, order.source, fds[0], fds[1]);
		close_fd(&fds[0]);
		return;
	}
	close_fds(fds, n_fds);
}

struct follower {
	struct list node;
	struct followers *all;
	uint64_t dev;
	/* NULL: it has ended */
	struct job *job;
	/* Ends of the socket. The agent keeps `far`, the worker's, as long as the job exists. */
	int near, far;
	struct watch *watch;
	struct list volumes;
	unsigned int restarts;
	/* It was cancelled: without volumes. */
	bool is_ending;
};

struct followers {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	struct list list;
};

static int
follower_work(struct worker *w, void *arg, struct error *err)
{
	const struct follower *f = arg;
	struct follower_side side = { .w = w, .roots = f->all->roots, .sock = f->far };
	int r = -1;

	(void)prctl(PR_SET_NAME, "kata-follow");
	(void)prctl(PR_SET_TIMERSLACK, SLACK_NS);
	(void)umask(0);
	list_init(&side.volumes);
	side.loop = loop_new(err);
	if (side.loop)
		side.watch = loop_watch(side.loop, side.sock, EPOLLIN, on_order, &side, err);
	if (side.watch)
		r = loop_run(side.loop, err);
	return r;
}

/* ---- the agent ---- */

struct follow {
	struct list node;
	struct follower *follower;
	char *source;
	int place;
	/* The loop's end of the pipe; -1: the worker does not have the volume yet. */
	int life;
};

static void
follower_hang_up(struct follower *f)
{
	loop_unwatch(f->watch);
	f->watch = NULL;
	close_fd(&f->near);
	close_fd(&f->far);
}

/* Sends a volume to the worker. Returns false if the socket is full. */
static bool
follow_send(struct follow *f)
{
	struct follow_order order;
	size_t n = strlen(f->source) + 1;
	int ends[2], fds[2];
	bool is_sent;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_warn("storage", "volume %s will not be updated: failed to make a pipe: %s",
			 f->source, strerror(errno));
		return true;
	}
	memcpy(order.source, f->source, n);
	fds[0] = f->place;
	fds[1] = ends[0];
	is_sent = send_msg(f->follower->near, &order, n, fds, 2, MSG_DONTWAIT) == 0;
	if (is_sent)
		f->life = steal_fd(&ends[1]);
	close_fds(ends, 2);
	if (is_sent)
		return true;
	if (watch_may_retry(f->follower->watch, errno))
		return false;
	log_warn("storage", "volume %s will not be updated: %s", f->source, strerror(errno));
	return true;
}

/* Sends the volumes that the worker does not have yet, as far as there is room for them. */
static void
follower_send(struct follower *f)
{
	struct list *pos;
	bool is_full = false;

	list_for_each (pos, &f->volumes) {
		struct follow *v = list_entry(pos, struct follow, node);

		if (v->life < 0 && !is_full)
			is_full = !follow_send(v);
	}
	watch_set_events(f->watch, is_full ? EPOLLOUT : 0);
}

static void
on_room(uint32_t events, void *data)
{
	(void)events;
	follower_send(data);
}

static int follower_run(struct follower *f, struct error *err);

static void
follower_free(struct follower *f)
{
	list_remove(&f->node);
	follower_hang_up(f);
	free(f);
}

static void
on_follower_done(struct job *job, const struct error *err, void *data)
{
	struct follower *f = data;
	struct error why = ERROR_INIT;
	struct list *pos;

	(void)job;
	f->job = NULL;
	follower_hang_up(f);
	if (list_is_empty(&f->volumes)) {
		follower_free(f);
		return;
	}
	list_for_each (pos, &f->volumes)
		close_fd(&list_entry(pos, struct follow, node)->life);
	log_warn("storage", "the worker that updates volumes exited unexpectedly: %s",
		 err->code != ERROR_OK ? err->msg : "no error reported");
	if (f->restarts++ == RESTARTS_MAX)
		error_set(&why, ERROR_INTERNAL, "its worker exited too often");
	else if (follower_run(f, &why) == 0)
		return;
	list_for_each (pos, &f->volumes) {
		const char *source = list_entry(pos, struct follow, node)->source;
		const struct log_field fields[] = { { "source", source } };

		log_event(LOG_LEVEL_ERROR, "storage", EVENT_VOLUME_STALE, fields, ARRAY_LEN(fields),
			  "volume %s is no longer updated: %s", source, why.msg);
	}
}

static const struct job_ops follower_job = {
	.name = "update volumes",
	.work = follower_work,
	.done = on_follower_done,
};

/* Starts the worker, and sends it all volumes. */
static int
follower_run(struct follower *f, struct error *err)
{
	const struct roots *roots = f->all->roots;
	int keep[] = { -1, roots->proc, roots->root, roots->run };
	struct job_spec job = {
		.ops = &follower_job,
		.arg = f,
		.data = f,
		.keep_fds = keep,
		.n_keep_fds = ARRAY_LEN(keep),
	};
	const struct log_context *former;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to create a socket for updates of volumes");
	f->near = fds[0];
	f->far = keep[0] = fds[1];
	f->watch = loop_watch(f->all->loop, f->near, 0, on_room, f, err);
	/* The worker outlives the call that starts it. */
	former = log_context_set(NULL);
	if (f->watch)
		f->job = job_start(f->all->jobs, &job, err);
	(void)log_context_set(former);
	if (!f->job) {
		follower_hang_up(f);
		return -1;
	}
	follower_send(f);
	return 0;
}

static struct follower *
follower_get(struct followers *all, uint64_t dev, struct error *err)
{
	struct follower *f;
	struct list *pos;

	list_for_each (pos, &all->list) {
		f = list_entry(pos, struct follower, node);
		if (f->dev == dev && f->job && !f->is_ending)
			return f;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		error_nomem(err, "following a volume");
		return NULL;
	}
	*f = (struct follower){ .all = all, .dev = dev, .near = -1, .far = -1 };
	list_init(&f->node);
	list_init(&f->volumes);
	list_append(&all->list, &f->node);
	if (follower_run(f, err) == 0)
		return f;
	follower_free(f);
	return NULL;
}

struct follow *
follow_start(struct followers *all, const struct follow_spec *spec, struct error *err)
{
	struct follow *v = calloc(1, sizeof(*v));

	if (!v) {
		error_nomem(err, "following a volume");
		return NULL;
	}
	list_init(&v->node);
	v->life = -1;
	v->source = strdup(spec->source);
	v->place = fcntl(spec->place, F_DUPFD_CLOEXEC, 3);
	if (!v->source || strlen(v->source) >= sizeof(((struct follow_order *)NULL)->source))
		error_nomem(err, "following a volume");
	else if (v->place < 0)
		error_sys(err, "failed to keep the directory of a copy");
	else
		v->follower = follower_get(all, spec->dev, err);
	if (!v->follower) {
		follow_stop(v);
		return NULL;
	}
	list_append(&v->follower->volumes, &v->node);
	follower_send(v->follower);
	return v;
}

static void
follow_free(struct follow *v)
{
	list_remove(&v->node);
	close_fd(&v->life);
	close_fd(&v->place);
	free(v->source);
	free(v);
}

void
follow_stop(struct follow *v)
{
	struct follower *f;

	if (!v)
		return;
	f = v->follower;
	follow_free(v);
	if (!f || !list_is_empty(&f->volumes))
		return;
	if (!f->job) {
		follower_free(f);
		return;
	}
	f->is_ending = true;
	job_cancel(f->job, ERROR_CANCELLED, "no volumes are left to update");
}

struct followers *
followers_new(struct loop *loop, struct jobs *jobs, const struct roots *roots, struct error *err)
{
	struct followers *all = calloc(1, sizeof(*all));

	if (!all) {
		error_nomem(err, "preparing updates of volumes");
		return NULL;
	}
	all->loop = loop;
	all->jobs = jobs;
	all->roots = roots;
	list_init(&all->list);
	return all;
}

void
followers_free(struct followers *all)
{
	if (!all)
		return;
	while (!list_is_empty(&all->list)) {
		struct follower *f = list_entry(all->list.next, struct follower, node);

		while (!list_is_empty(&f->volumes))
			follow_free(list_entry(f->volumes.next, struct follow, node));
		follower_free(f);
	}
	free(all);
}
