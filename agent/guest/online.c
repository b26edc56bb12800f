/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing processors and memory online, for OnlineCPUMem and when memory is plugged in.
 *
 *	online_begin() -> worker -> enough processors: done
 *	                     ^   -> too few: wait for a uevent of a processor, or time out
 *	                     +------ uevent
 */
#include "agent/guest/online.h"

#include <stdlib.h>
#include <string.h>

#include "agent/device/device.h"
#include "agent/guest/guest_state.h"
#include "agent/guest/hotplug.h"
#include "agent/guest/memory_limits.h"
#include "agent/job/job.h"
#include "init/limits.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* Time limit of one worker: the kernel takes a while for a lot of memory. */
#define WORK_MS 60000

enum online_msg {
	/* payload: uint32_t, the number of processors that are online */
	ONLINE_MSG_CPUS = 1,
	/* payload: uint64_t, bytes of memory for which the limits are set now */
	ONLINE_MSG_MEMORY = 2,
};

/* The task of the worker. */
struct online_work {
	const struct roots *roots;
	uint32_t cpus;
	bool memory;
	bool is_pid1;
	/* bytes of memory for which the limits were set last */
	uint64_t total;
};

struct online {
	struct guest *g;
	struct online_work work;
	struct job *job;
	/* NULL once it has fired */
	struct timer *limit;
	struct device_listener listener;
	/* an event arrived while the worker was running */
	bool again;
	uint32_t online;
	struct pending pending;
	online_done_fn *done;
	void *data;
	/* context of the call: workers that events start log with it, too */
	struct log_context *log;
};

struct memory_watch {
	struct guest *g;
	struct device_listener listener;
	/* NULL: none */
	struct online *running;
	bool again;
};

static struct online *online_begin(struct guest *g, uint32_t cpus, bool memory,
				   online_done_fn *done, void *data, struct error *err);
static int online_start_worker(struct online *o, struct error *err);
static int online_worker(struct worker *w, void *arg, struct error *err);
static void online_on_done(struct job *job, const struct error *err, void *data);
static void online_on_cpu_event(const struct device_event *e, void *data);
static void online_on_limit(void *data);
static void online_cancel(struct pending *p);
static void online_on_memory_event(const struct device_event *e, void *data);
static void online_memory(struct memory_watch *m);
static void online_on_memory_done(const struct error *err, void *data);

static void
online_free(struct online *o)
{
	device_unlisten(&o->listener);
	timer_cancel(o->limit);
	log_context_free(o->log);
	free(o);
}

static void
online_finish(struct online *o, const struct error *err)
{
	online_done_fn *done = pending_end(&o->pending) ? o->done : NULL;
	void *data = o->data;

	online_free(o);
	if (done)
		done(err, data);
}

struct pending *
online_start(struct guest *g, uint32_t cpus, bool memory, online_done_fn *done, void *data,
	     struct error *err)
{
	struct online *o = online_begin(g, cpus, memory, done, data, err);

	return o ? &o->pending : NULL;
}

static struct online *
online_begin(struct guest *g, uint32_t cpus, bool memory, online_done_fn *done, void *data,
	     struct error *err)
{
	struct online *o = calloc(1, sizeof(*o));

	if (!o) {
		error_nomem(err, "bringing processors and memory online");
		return NULL;
	}
	o->g = g;
	o->work = (struct online_work){
		.roots = g->parts.roots,
		.cpus = cpus,
		.memory = memory,
		.is_pid1 = g->parts.is_pid1,
	};
	o->pending.cancel = online_cancel;
	o->log = log_context_copy();
	o->done = done;
	o->data = data;
	/* before the first worker, so that no event is missed */
	device_listen(g->parts.devices, &o->listener, online_on_cpu_event, o);
	o->limit = loop_timer(g->parts.loop, ONLINE_MS, online_on_limit, o, err);
	if (o->limit && online_start_worker(o, err) == 0)
		return o;
	online_free(o);
	return NULL;
}

static int
online_take_cpus(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct online *o = data;

	(void)job;
	(void)err;
	memcpy(&o->online, m->payload, sizeof(o->online));
	return 0;
}

/* Sets the agent's own limits that follow from memory, and those of our init: what they start
 * inherits them. */
static void
online_own_limits(const struct guest *g)
{
	struct limits_size size = { .total = g->memory_total };
	struct error err = ERROR_INIT;

	if (!g->parts.is_pid1)
		return;
	if (limits_apply_process(0, &size, &err) < 0 || limits_apply_process(1, &size, &err) < 0)
		log_warn("guest", "%s", err.msg);
}

static int
online_take_memory(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct online *o = data;

	(void)job;
	(void)err;
	memcpy(&o->g->memory_total, m->payload, sizeof(o->g->memory_total));
	online_own_limits(o->g);
	return 0;
}

static const struct job_message_type online_messages[] = {
	[ONLINE_MSG_CPUS] = { .handler = online_take_cpus, .size = sizeof(uint32_t) },
	[ONLINE_MSG_MEMORY] = { .handler = online_take_memory, .size = sizeof(uint64_t) },
};

static const struct job_ops online_job = {
	.name = "bring processors and memory online",
	.work = online_worker,
	.messages = online_messages,
	.n_messages = ARRAY_LEN(online_messages),
	.done = online_on_done,
};

static int
online_start_worker(struct online *o, struct error *err)
{
	const struct roots *roots = o->work.roots;
	const int keep[] = { roots->sys, roots->proc, roots->root, roots->cgroup };
	struct job_spec job = {
		.ops = &online_job,
		.arg = &o->work,
		.data = o,
		.keep_fds = keep,
		.n_keep_fds = roots->cgroup < 0 ? 3 : 4,
		.deadline_ms = WORK_MS,
	};
	const struct log_context *former;

	o->again = false;
	o->work.total = o->g->memory_total;
	former = log_context_set(o->log);
	o->job = job_start(o->g->parts.jobs, &job, err);
	(void)log_context_set(former);
	return o->job ? 0 : -1;
}

/* ---- in the worker ---- */

static int
online_worker(struct worker *w, void *arg, struct error *err)
{
	const struct online_work *work = arg;
	struct error why = ERROR_INIT;
	unsigned int onlined = 0, failed;
	uint64_t total = work->total;
	uint32_t online = 0;

	if (work->memory) {
		failed = hotplug_online_memory(work->roots->sys, &onlined);
		if (failed > 0)
			worker_log(w, LOG_LEVEL_WARN, "failed to bring %u memory blocks online",
				   failed);
		if (onlined > 0)
			worker_log(w, LOG_LEVEL_INFO, "brought %u memory blocks online", onlined);
		memory_limits_follow(work->roots, work->is_pid1, &total, w);
		if (worker_send(w, ONLINE_MSG_MEMORY, &total, sizeof(total), NULL, 0, false, err) <
		    0)
			return -1;
	}
	if (work->cpus == 0)
		return 0;
	if (hotplug_online_cpus(work->roots->sys, work->cpus, &online, &why) < 0) {
		*err = why;
		return -1;
	}
	if (why.code != ERROR_OK)
		worker_log(w, LOG_LEVEL_WARN, "%s", why.msg);
	return worker_send(w, ONLINE_MSG_CPUS, &online, sizeof(online), NULL, 0, false, err);
}

/* ---- events ---- */

static void
online_timed_out(struct online *o)
{
	struct error err = ERROR_INIT;

	error_set(&err, ERROR_INTERNAL, "only %u of %u processors are online after %d ms",
		  o->online, o->work.cpus, ONLINE_MS);
	online_finish(o, &err);
}

static void
online_on_done(struct job *job, const struct error *err, void *data)
{
	struct online *o = data;
	struct error why = *err;

	(void)job;
	o->job = NULL;
	if (!pending_is_wanted(&o->pending) || why.code != ERROR_OK || o->work.cpus == 0 ||
	    o->online >= o->work.cpus) {
		online_finish(o, &why);
		return;
	}
	/* the other processors are not plugged in yet: wait for their events */
	o->work.memory = false;
	if (!o->limit)
		online_timed_out(o);
	else if (o->again && online_start_worker(o, &why) < 0)
		online_finish(o, &why);
}

static void
online_on_cpu_event(const struct device_event *e, void *data)
{
	struct online *o = data;
	struct error err = ERROR_INIT;

	if (*e->subsystem && strcmp(e->subsystem, "cpu") != 0)
		return;
	o->again = true;
	if (!o->job && online_start_worker(o, &err) < 0)
		online_finish(o, &err);
}

static void
online_on_limit(void *data)
{
	struct online *o = data;

	o->limit = NULL;
	if (!o->job)
		online_timed_out(o);
}

static void
online_cancel(struct pending *p)
{
	struct online *o = pending_entry(p, struct online, pending);

	if (o->job)
		job_cancel(o->job, ERROR_CANCELLED, "the call was cancelled");
	else
		online_free(o);
}

/* ---- hot-plugged memory ---- */

struct memory_watch *
memory_watch_new(struct guest *g, struct error *err)
{
	struct memory_watch *m = calloc(1, sizeof(*m));

	if (!m) {
		error_nomem(err, "watching for memory");
		return NULL;
	}
	m->g = g;
	device_listen(g->parts.devices, &m->listener, online_on_memory_event, m);
	return m;
}

static void
online_on_memory_event(const struct device_event *e, void *data)
{
	/* also on "online" and "offline", since the limits follow the size of memory */
	if (!*e->subsystem || strcmp(e->subsystem, "memory") == 0)
		online_memory(data);
}

/* Starts a worker, or, if one is running, notes that another must follow. A gigabyte has eight
 * blocks or more, whose events arrive at nearly the same time. */
static void
online_memory(struct memory_watch *m)
{
	struct error err = ERROR_INIT;

	m->again = m->running != NULL;
	if (m->running)
		return;
	m->running = online_begin(m->g, 0, true, online_on_memory_done, m, &err);
	if (!m->running)
		log_warn("guest", "failed to bring memory online: %s", err.msg);
}

static void
online_on_memory_done(const struct error *err, void *data)
{
	struct memory_watch *m = data;

	m->running = NULL;
	if (err->code != ERROR_OK)
		log_warn("guest", "failed to bring memory online: %s", err->msg);
	if (m->again)
		online_memory(m);
}

void
memory_watch_free(struct memory_watch *m)
{
	if (!m)
		return;
	device_unlisten(&m->listener);
	if (m->running)
		online_free(m->running);
	free(m);
}
