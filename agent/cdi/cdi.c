/* SPDX-License-Identifier: Apache-2.0 */
/* See cdi.h. A change that happens while the specs are read is found afterwards: the watches are
 * added before the reading, and their events stay in the descriptor. */
#include "agent/cdi/cdi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/cdi/load.h"
#include "agent/job/job.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"

/* For reading all specs. */
#define CDI_JOB_MS 30000

/* Between two readings if changes cannot be watched. */
#define POLL_MS 1000

/* The most bytes of a worker's result. */
#define CDI_OUTPUT_MAX ((size_t)2 << 20)

struct cdi_wait {
	/* Must be first. */
	struct pending pending;
	struct cdi_parts parts;
	const struct cdi_names *names;
	uint32_t uid, gid;
	cdi_found_fn *found;
	void *data;
	/* -1: none could be made. */
	int inotify;
	/* Not everything is watched, so the specs are read again every second. */
	bool polls;
	struct watch *watch;
	struct pending *job;
	struct timer *timer;
	/* The end of the wait, and its end if only the device is missing (0: that has not been
	 * seen). */
	uint64_t deadline, device_deadline;
	/* The reason why the devices were not found so far. */
	struct error why;
};

/* The head of the worker's output. A text or a packed spec follows. */
struct cdi_output {
	uint32_t state;
	uint32_t is_unwatched;
};

static int cdi_read(struct cdi_wait *c, struct error *err);
static void cdi_on_read(struct job *job, const struct error *err, void *data);
static void cdi_await(struct cdi_wait *c);
static void cdi_on_change(uint32_t events, void *data);
static void cdi_on_timeout(void *data);

static void
cdi_free(struct cdi_wait *c)
{
	pending_cancel(&c->job);
	timer_cancel(c->timer);
	loop_unwatch(c->watch);
	close_fd(&c->inotify);
	free(c);
}

static void
cdi_cancel(struct pending *p)
{
	cdi_free((struct cdi_wait *)p);
}

/* Ends the wait with an error. */
static void
cdi_fail(struct cdi_wait *c, const struct error *err)
{
	const struct error copy = *err;
	cdi_found_fn *found = c->found;
	void *data = c->data;

	cdi_free(c);
	found(&copy, NULL, 0, data);
}

struct pending *
cdi_find(const struct cdi_parts *parts, const struct cdi_names *names, uint32_t uid, uint32_t gid,
	 cdi_found_fn *found, void *data, struct error *err)
{
	struct cdi_wait *c = calloc(1, sizeof(*c));

	if (!c) {
		error_nomem(err, "looking for CDI devices");
		return NULL;
	}
	*c = (struct cdi_wait){
		.pending = { .cancel = cdi_cancel },
		.parts = *parts,
		.names = names,
		.uid = uid,
		.gid = gid,
		.found = found,
		.data = data,
		.deadline = deadline_in(parts->timeout_ms),
	};
	c->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->inotify >= 0)
		c->watch = loop_watch(parts->loop, c->inotify, 0, cdi_on_change, c, err);
	if ((c->inotify >= 0 && !c->watch) || cdi_read(c, err) < 0) {
		cdi_free(c);
		return NULL;
	}
	return &c->pending;
}

/* ---- reading ---- */

static int
cdi_work(struct worker *w, void *arg, struct error *err)
{
	const struct cdi_wait *c = arg;
	const struct cdi_request request = {
		.roots = c->parts.roots,
		.names = c->names,
		.uid = c->uid,
		.gid = c->gid,
		.inotify = c->inotify,
	};
	struct cdi_output head = { .state = CDI_FOUND };
	struct cdi_loaded loaded;
	struct arena arena;
	uint8_t *packed;
	size_t size;

	/* The memory is not freed before the worker exits. */
	arena_init(&arena, CDI_ARENA_MAX);
	if (cdi_load(&arena, &request, &loaded, err) < 0)
		return -1;
	head.state = loaded.state;
	head.is_unwatched = loaded.is_unwatched;
	if (worker_output(w, &head, sizeof(head), err) < 0)
		return -1;
	if (loaded.state != CDI_FOUND)
		return worker_output(w, loaded.why, strlen(loaded.why), err);
	if (*loaded.why)
		worker_log(w, LOG_LEVEL_WARN, "%s", loaded.why);
	size = grpc__spec__get_packed_size(loaded.edits);
	packed = malloc(size + 1);
	if (!packed || size > CDI_OUTPUT_MAX - sizeof(head))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "the changes for the CDI devices need %zu bytes", size);
	grpc__spec__pack(loaded.edits, packed);
	return worker_output(w, packed, size, err);
}

static const struct job_ops cdi_job = {
	.name = "read CDI specs",
	.work = cdi_work,
	.output_min = sizeof(struct cdi_output),
	.output_max = CDI_OUTPUT_MAX,
	.done = cdi_on_read,
};

/* Starts the worker that reads the specs. */
static int
cdi_read(struct cdi_wait *c, struct error *err)
{
	const int keep[] = { c->parts.roots->root, c->parts.roots->dev, c->parts.roots->run,
			     c->inotify };
	const struct job_spec spec = {
		.ops = &cdi_job,
		.arg = c,
		.data = c,
		.keep_fds = keep,
		.n_keep_fds = ARRAY_LEN(keep) - (c->inotify < 0),
		.deadline_ms = CDI_JOB_MS,
	};

	c->job = job_pending(job_start(c->parts.jobs, &spec, err));
	return c->job ? 0 : -1;
}

static void
cdi_on_read(struct job *job, const struct error *err, void *data)
{
	struct cdi_wait *c = data;
	struct cdi_output head;
	size_t n;
	const char *output = job_output(job, &n);

	c->job = NULL;
	if (err->code != ERROR_OK) {
		cdi_fail(c, err);
		return;
	}
	memcpy(&head, output, sizeof(head));
	output += sizeof(head);
	n -= sizeof(head);
	if (head.state == CDI_FOUND) {
		cdi_found_fn *found = c->found;
		void *found_data = c->data;

		cdi_free(c);
		found(err, (const uint8_t *)output, n, found_data);
		return;
	}
	if (head.state == CDI_MISSING)
		c->device_deadline = 0;
	else if (c->device_deadline == 0)
		c->device_deadline = deadline_in(c->parts.device_ms);
	c->polls = head.is_unwatched;
	error_set(&c->why, ERROR_NOT_FOUND, "timed out: %.*s", (int)n, output);
	cdi_await(c);
}

/* ---- waiting ---- */

static uint64_t
cdi_deadline(const struct cdi_wait *c)
{
	return c->device_deadline != 0 && c->device_deadline < c->deadline ? c->device_deadline
									   : c->deadline;
}

/* Waits for a change of something that the worker watches. */
static void
cdi_await(struct cdi_wait *c)
{
	uint64_t deadline = cdi_deadline(c), ms;
	struct error err = ERROR_INIT;

	if (deadline_is_over(deadline)) {
		cdi_fail(c, &c->why);
		return;
	}
	ms = (uint64_t)deadline_left_ms(deadline);
	c->timer = loop_timer(c->parts.loop, c->polls && ms > POLL_MS ? POLL_MS : ms,
			      cdi_on_timeout, c, &err);
	if (!c->timer) {
		cdi_fail(c, &err);
		return;
	}
	if (c->watch)
		watch_set_events(c->watch, EPOLLIN);
}

static void
cdi_on_change(uint32_t events, void *data)
{
	struct cdi_wait *c = data;
	struct error err = ERROR_INIT;
	char buffer[4096];

	(void)events;
	/* The next reading looks at everything, whatever the events are. */
	while (read(c->inotify, buffer, sizeof(buffer)) > 0)
		continue;
	timer_cancel(c->timer);
	c->timer = NULL;
	watch_set_events(c->watch, 0);
	if (cdi_read(c, &err) < 0)
		cdi_fail(c, &err);
}

static void
cdi_on_timeout(void *data)
{
	struct cdi_wait *c = data;
	struct error err = ERROR_INIT;

	c->timer = NULL;
	if (deadline_is_over(cdi_deadline(c))) {
		cdi_fail(c, &c->why);
		return;
	}
	if (c->watch)
		watch_set_events(c->watch, 0);
	if (cdi_read(c, &err) < 0)
		cdi_fail(c, &err);
}
