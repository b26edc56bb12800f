/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory agent's periods, on the loop. Reclaim and compaction are independent:
 *
 *	           the period's timer; it is worth while
 *	WAITING -----------------------------------------> WORKING, a job
 *	 ^   |                                                |
 *	 +---+ not worth while                                |
 *	 +----------------------------------------------------+
 *	           done, out of time, or stopped by memory pressure
 */
#include "agent/guest/memagent.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/guest/memagent_work.h"
#include "agent/job/job.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"

#define PERIOD_MAX_SECS (366ull * 86400)
/* time limit for all containers of one period */
#define RECLAIM_MS 600000

struct reclaiming {
	struct memagent_reclaim settings;
	struct timer *timer;
	struct job *job;
	struct memagent_reclaim_work work;
	struct memagent_target *targets;
	size_t n;
	/* 0 in the first period */
	uint64_t last_ns;
};

struct compacting {
	struct memagent_compact settings;
	struct timer *timer;
	struct job *job;
	/* pressure trigger while the job runs, or -1 */
	int pressure;
	struct watch *watch;
	uint64_t last_ns, stalled_usec;
	/* after the last compaction */
	uint64_t fragments;
	/* periods since then */
	uint64_t skipped;
};

struct memagent {
	struct memagent_parts parts;
	struct reclaiming r;
	struct compacting c;
	struct memagent_counts counts;
	bool warned;
};

struct new_targets {
	const struct reclaiming *former;
	struct memagent_target *list;
	size_t n;
};

static void memagent_begin_reclaim_period(struct memagent *m);
static void memagent_on_reclaim_time(void *data);
static int memagent_start_reclaim(struct memagent *m, struct error *err);
static void memagent_begin_compact_period(struct memagent *m);
static void memagent_on_compact_time(void *data);
static bool memagent_compaction_is_due(struct memagent *m);
static int memagent_start_compact(struct memagent *m, struct error *err);
static void memagent_end_pressure_watch(struct memagent *m);

struct memagent *
memagent_new(const struct memagent_parts *parts, const struct memagent_reclaim *r,
	     const struct memagent_compact *c, struct error *err)
{
	struct memagent *m = calloc(1, sizeof(*m));

	if (!m) {
		error_nomem(err, "creating the memory agent");
		return NULL;
	}
	m->parts = *parts;
	m->c.pressure = -1;
	if (memagent_set_reclaim(m, r, err) == 0 && memagent_set_compact(m, c, err) == 0)
		return m;
	memagent_free(m);
	return NULL;
}

int
memagent_set_reclaim(struct memagent *m, const struct memagent_reclaim *r, struct error *err)
{
	if (memagent_check_reclaim(r, err) < 0)
		return -1;
	m->r.settings = *r;
	memagent_begin_reclaim_period(m);
	return 0;
}

int
memagent_set_compact(struct memagent *m, const struct memagent_compact *c, struct error *err)
{
	if (memagent_check_compact(c, err) < 0)
		return -1;
	m->c.settings = *c;
	memagent_begin_compact_period(m);
	return 0;
}

/* ---- reclaim ---- */

/* Starts the timer of the next period. While a job runs, its end does that. */
static void
memagent_begin_reclaim_period(struct memagent *m)
{
	struct error err = ERROR_INIT;

	timer_cancel(m->r.timer);
	m->r.timer = NULL;
	if (m->r.settings.disabled || m->r.job)
		return;
	m->r.timer = loop_timer(m->parts.loop, m->r.settings.period_secs * 1000,
				memagent_on_reclaim_time, m, &err);
	if (!m->r.timer)
		log_warn("memagent", "memory reclaim stopped: %s", err.msg);
}

static void
memagent_on_reclaim_time(void *data)
{
	struct memagent *m = data;
	struct error err = ERROR_INIT;

	m->r.timer = NULL;
	if (m->parts.roots->cgroup >= 0 && memagent_start_reclaim(m, &err) == 0)
		return;
	if (err.code != ERROR_OK)
		log_warn("memagent", "failed to reclaim memory: %s", err.msg);
	memagent_begin_reclaim_period(m);
}

/* Adds a container, with the counters of the last period if it is known. */
static void
memagent_add_target(const char *path, void *data)
{
	struct new_targets *new = data;
	struct memagent_target *t = &new->list[new->n];

	if (new->n == MEMAGENT_TARGETS_MAX || strlen(path) >= sizeof(t->path))
		return;
	*t = (struct memagent_target){ 0 };
	for (size_t i = 0; i < new->former->n; i++) {
		if (strcmp(new->former->targets[i].path, path) == 0)
			*t = new->former->targets[i];
	}
	memcpy(t->path, path, strlen(path) + 1);
	t->reclaimed = 0;
	t->stopped = false;
	new->n++;
}

static int
memagent_find_targets(struct memagent *m, struct error *err)
{
	struct new_targets new = { .former = &m->r };
	struct memagent_target *fitting;

	new.list = calloc(MEMAGENT_TARGETS_MAX, sizeof(*new.list));
	if (!new.list)
		return error_nomem(err, "reclaiming memory");
	m->parts.list(m->parts.list_data, memagent_add_target, &new);
	fitting = realloc(new.list, (new.n > 0 ? new.n : 1) * sizeof(*fitting));
	free(m->r.targets);
	m->r.targets = fitting ? fitting : new.list;
	m->r.n = new.n;
	return 0;
}

static int
memagent_take_target(struct job *job, const struct job_message *message, void *data,
		     struct error *err)
{
	struct memagent *m = data;
	struct memagent_reply reply;
	struct memagent_target *t;

	(void)job;
	memcpy(&reply, message->payload, sizeof(reply));
	if (reply.index >= m->r.n)
		return error_set(err, ERROR_INTERNAL, "the worker sent an invalid target %llu",
				 (unsigned long long)reply.index);
	t = &m->r.targets[reply.index];
	t->stalled_usec = reply.stalled_usec;
	t->quiet = reply.quiet;
	t->is_known = true;
	m->counts.reclaimed_bytes += reply.reclaimed;
	m->counts.reclaim_stopped += reply.stopped;
	if (reply.reclaimed > 0)
		log_info("memagent", "reclaimed %llu KiB from %s%s",
			 (unsigned long long)reply.reclaimed / 1024, t->path,
			 reply.stopped ? ", stopped by memory pressure" : "");
	return 0;
}

static void
memagent_on_reclaim_done(struct job *job, const struct error *err, void *data)
{
	struct memagent *m = data;

	(void)job;
	m->r.job = NULL;
	if (err->code != ERROR_OK && err->code != ERROR_CANCELLED)
		log_warn("memagent", "failed to reclaim memory: %s", err->msg);
	m->counts.reclaim_runs++;
	memagent_begin_reclaim_period(m);
}

static const struct job_message_type reclaim_messages[] = {
	[MEMAGENT_MSG_TARGET] = { .handler = memagent_take_target,
				  .size = sizeof(struct memagent_reply) },
};

static const struct job_ops reclaim_job = {
	.name = "reclaim memory",
	.work = memagent_reclaim_work,
	.messages = reclaim_messages,
	.n_messages = ARRAY_LEN(reclaim_messages),
	.done = memagent_on_reclaim_done,
};

static int
memagent_start_reclaim(struct memagent *m, struct error *err)
{
	const struct roots *roots = m->parts.roots;
	const int keep[] = { roots->cgroup, roots->proc };
	uint64_t now = monotonic_ns();
	struct job_spec job = {
		.ops = &reclaim_job,
		.arg = &m->r.work,
		.data = m,
		.keep_fds = keep,
		.n_keep_fds = ARRAY_LEN(keep),
		.deadline_ms = RECLAIM_MS,
	};

	if (memagent_find_targets(m, err) < 0)
		return -1;
	m->r.work = (struct memagent_reclaim_work){
		.cgroup = roots->cgroup,
		.proc = roots->proc,
		.settings = m->r.settings,
		.elapsed_usec = m->r.last_ns > 0 ? (now - m->r.last_ns) / 1000 : 0,
		.targets = m->r.targets,
		.n = m->r.n,
	};
	m->r.last_ns = now;
	m->r.job = job_start(m->parts.jobs, &job, err);
	return m->r.job ? 0 : -1;
}

/* ---- compaction ---- */

static void
memagent_begin_compact_period(struct memagent *m)
{
	struct error err = ERROR_INIT;

	timer_cancel(m->c.timer);
	m->c.timer = NULL;
	if (m->c.settings.disabled || m->c.job)
		return;
	m->c.timer = loop_timer(m->parts.loop, m->c.settings.period_secs * 1000,
				memagent_on_compact_time, m, &err);
	if (!m->c.timer)
		log_warn("memagent", "memory compaction stopped: %s", err.msg);
}

static void
memagent_on_compact_time(void *data)
{
	struct memagent *m = data;
	struct error err = ERROR_INIT;

	m->c.timer = NULL;
	if (memagent_compaction_is_due(m)) {
		m->c.skipped = 0;
		if (memagent_start_compact(m, &err) == 0)
			return;
		log_warn("memagent", "failed to compact memory: %s", err.msg);
	}
	memagent_begin_compact_period(m);
}

/* Returns the stalled time in percent of the time since *last_ns (0 the first time), and updates
 * both values. */
static uint64_t
memagent_percent_since(uint64_t *last_ns, uint64_t *last_usec, uint64_t usec)
{
	uint64_t now = monotonic_ns(), elapsed = (now - *last_ns) / 1000, percent = 0;

	if (*last_ns > 0 && elapsed > 0 && usec > *last_usec)
		percent = (usec - *last_usec) * 100 / elapsed;
	*last_ns = now;
	*last_usec = usec;
	return percent;
}

/* Returns whether compaction is worth while, and no task waits for memory already. */
static bool
memagent_compaction_is_due(struct memagent *m)
{
	const struct memagent_compact *s = &m->c.settings;
	int proc = m->parts.roots->proc;
	uint64_t stalled, fragments, percent;

	if (!memagent_stalled(proc, "pressure/memory", &stalled) ||
	    !memagent_fragments(proc, s->compact_order, &fragments)) {
		if (!m->warned)
			log_warn("memagent",
				 "compaction disabled: the kernel does not report pressure or "
				 "fragmentation");
		m->warned = true;
		return false;
	}
	percent = memagent_percent_since(&m->c.last_ns, &m->c.stalled_usec, stalled);
	m->c.skipped++;
	if (percent > s->period_psi_percent_limit)
		return false;
	/* count from the minimum: fragments that were used up and came back are new ones */
	if (fragments < m->c.fragments)
		m->c.fragments = fragments;
	return fragments - m->c.fragments >= s->compact_threshold ||
	       m->c.skipped > s->compact_force_times;
}

/* Stops compaction when tasks wait for memory: SIGKILL to the worker ends the kernel's compaction,
 * too. */
static void
memagent_on_pressure(uint32_t events, void *data)
{
	struct memagent *m = data;

	(void)events;
	memagent_end_pressure_watch(m);
	m->counts.compact_stopped++;
	log_info("memagent", "compaction stopped by memory pressure");
	job_cancel(m->c.job, ERROR_CANCELLED, "stopped by memory pressure");
}

static void
memagent_on_compact_done(struct job *job, const struct error *err, void *data)
{
	struct memagent *m = data;

	(void)job;
	m->c.job = NULL;
	memagent_end_pressure_watch(m);
	if (err->code == ERROR_OK || err->code == ERROR_CANCELLED ||
	    err->code == ERROR_DEADLINE_EXCEEDED)
		m->counts.compact_runs++;
	else
		log_warn("memagent", "failed to compact memory: %s", err->msg);
	(void)memagent_fragments(m->parts.roots->proc, m->c.settings.compact_order,
				 &m->c.fragments);
	memagent_begin_compact_period(m);
}

static const struct job_ops compact_job = {
	.name = "compact memory",
	.work = memagent_compact_work,
	.done = memagent_on_compact_done,
};

static int
memagent_start_compact(struct memagent *m, struct error *err)
{
	const int *proc = &m->parts.roots->proc;
	struct job_spec job = {
		.ops = &compact_job,
		.arg = (void *)(uintptr_t)proc,
		.data = m,
		.keep_fds = proc,
		.n_keep_fds = 1,
		.deadline_ms = (uint64_t)m->c.settings.compact_sec_max * 1000,
	};

	m->c.pressure =
		memagent_trigger(*proc, "pressure/memory", m->c.settings.compact_psi_percent_limit);
	if (m->c.pressure >= 0)
		m->c.watch = loop_watch(m->parts.loop, m->c.pressure, EPOLLPRI,
					memagent_on_pressure, m, err);
	if (m->c.pressure < 0 || !m->c.watch) {
		memagent_end_pressure_watch(m);
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the kernel does not report memory pressure");
	}
	m->c.job = job_start(m->parts.jobs, &job, err);
	if (m->c.job)
		return 0;
	memagent_end_pressure_watch(m);
	return -1;
}

static void
memagent_end_pressure_watch(struct memagent *m)
{
	loop_unwatch(m->c.watch);
	m->c.watch = NULL;
	close_fd(&m->c.pressure);
}

/* ---- both ---- */

/* Checks the range of one setting. */
static int
memagent_check(const char *name, uint64_t value, uint64_t min, uint64_t max, struct error *err)
{
	if (value >= min && value <= max)
		return 0;
	return error_set(
		err, ERROR_INVALID_ARGUMENT, "invalid %s %llu: must be between %llu and %llu", name,
		(unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

int
memagent_check_reclaim(const struct memagent_reclaim *r, struct error *err)
{
	if (memagent_check("period_secs", r->period_secs, 1, PERIOD_MAX_SECS, err) < 0 ||
	    memagent_check("swappiness_max", r->swappiness_max, 0, 200, err) < 0 ||
	    memagent_check("period_psi_percent_limit", r->period_psi_percent_limit, 0, 100, err) <
		    0)
		return -1;
	return memagent_check("eviction_psi_percent_limit", r->eviction_psi_percent_limit, 0, 100,
			      err);
}

int
memagent_check_compact(const struct memagent_compact *c, struct error *err)
{
	if (memagent_check("period_secs", c->period_secs, 1, PERIOD_MAX_SECS, err) < 0 ||
	    memagent_check("period_psi_percent_limit", c->period_psi_percent_limit, 0, 100, err) <
		    0 ||
	    memagent_check("compact_psi_percent_limit", c->compact_psi_percent_limit, 0, 100, err) <
		    0 ||
	    memagent_check("compact_order", c->compact_order, 1, 255, err) < 0)
		return -1;
	if (c->compact_sec_max < 1 || c->compact_sec_max > (int64_t)PERIOD_MAX_SECS)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid compact_sec_max %lld: must be between 1 and %llu",
				 (long long)c->compact_sec_max, PERIOD_MAX_SECS);
	return 0;
}

const struct memagent_reclaim *
memagent_reclaim_settings(const struct memagent *m)
{
	return &m->r.settings;
}

const struct memagent_compact *
memagent_compact_settings(const struct memagent *m)
{
	return &m->c.settings;
}

struct memagent_counts
memagent_counts(const struct memagent *m)
{
	return m->counts;
}

void
memagent_free(struct memagent *m)
{
	if (!m)
		return;
	timer_cancel(m->r.timer);
	timer_cancel(m->c.timer);
	memagent_end_pressure_watch(m);
	free(m->r.targets);
	free(m);
}
