/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that executes orders one after the other, so that ten thousand small files do not take
 * ten thousand forks. Order and data are passed in shared memory; a byte on a socket wakes the
 * worker.
 *
 *	        copy_worker_give()
 *	 IDLE ----------------------> BUSY     cancelled after ORDER_MS
 *	  | ^                         |  |
 *	  | +-------------------------+  | the job has ended
 *	  |       done(): a result       | done(): its error
 *	  v IDLE_MS                      v
 *	ENDING -----------------------> gone()
 *	         the job has ended
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files/files_internal.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#define IDLE_MS 1000
/* time limit of one order: the share may no longer answer */
#define ORDER_MS 60000

enum copy_worker_msg {
	/* payload: struct copy_result */
	COPY_MSG_RESULT = 1,
};

/* The memory shared by agent and worker. */
struct slot_memory {
	struct copy_order order;
	uint8_t data[COPY_DATA_MAX];
};

struct copy_worker {
	/* in a list of the owner */
	struct list node;
	struct copy_worker_spec spec;
	struct job *job;
	/* the agent's end, the worker's end */
	int sock[2];
	struct slot_memory *memory;
	/* limit of the order, or of the idle time */
	struct timer *timer;
	bool is_busy, is_ending;
};

static int copy_worker_start(struct copy_worker *c, struct error *err);
static int copy_worker_work(struct worker *w, void *arg, struct error *err);
static void copy_worker_on_late(void *data);
static int copy_worker_take_result(struct job *job, const struct job_message *m, void *data,
				   struct error *err);
static void copy_worker_wait_idle(struct copy_worker *c);
static void copy_worker_on_idle(void *data);
static void copy_worker_on_done(struct job *job, const struct error *err, void *data);

static void
copy_worker_stop_timer(struct copy_worker *c)
{
	timer_cancel(c->timer);
	c->timer = NULL;
}

struct copy_worker *
copy_worker_new(const struct copy_worker_spec *spec, struct error *err)
{
	struct copy_worker *c = calloc(1, sizeof(*c));
	void *memory;

	if (!c) {
		error_nomem(err, "starting a copy worker");
		return NULL;
	}
	list_init(&c->node);
	c->spec = *spec;
	c->sock[0] = c->sock[1] = -1;
	memory = mmap(NULL, sizeof(*c->memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED) {
		error_nomem(err, "starting a copy worker");
		copy_worker_free(c);
		return NULL;
	}
	c->memory = memory;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c->sock) < 0) {
		error_sys(err, "failed to create the copy worker's socket");
	} else if (copy_worker_start(c, err) == 0) {
		/* the caller may have no valid order for it */
		copy_worker_wait_idle(c);
		return c;
	}
	copy_worker_free(c);
	return NULL;
}

static const struct job_message_type messages[] = {
	[COPY_MSG_RESULT] = { .handler = copy_worker_take_result,
			      .size = sizeof(struct copy_result) },
};

static const struct job_ops copy_worker_job = {
	.name = "copy files",
	.work = copy_worker_work,
	.messages = messages,
	.n_messages = ARRAY_LEN(messages),
	.done = copy_worker_on_done,
};

static int
copy_worker_start(struct copy_worker *c, struct error *err)
{
	int fds[] = { c->sock[1], c->spec.roots->run, c->spec.roots->proc };
	struct job_spec job = {
		.ops = &copy_worker_job,
		.arg = c,
		.data = c,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
	};

	c->job = job_start(c->spec.jobs, &job, err);
	return c->job ? 0 : -1;
}

/* ---- in the worker ---- */

static int
copy_worker_work(struct worker *w, void *arg, struct error *err)
{
	const struct copy_worker *c = arg;
	struct copy_result result;
	char byte;
	ssize_t n;

	(void)umask(0);
	for (;;) {
		n = read(c->sock[1], &byte, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "failed to read the next order");
		if (n == 0)
			return 0;
		copy_apply(c->spec.roots->run, c->spec.roots->proc, &c->memory->order,
			   c->memory->data, &result);
		if (worker_send(w, COPY_MSG_RESULT, &result, sizeof(result), NULL, 0, false, err) <
		    0)
			return -1;
	}
}

/* ---- in the agent ---- */

bool
copy_worker_is_idle(const struct copy_worker *c)
{
	return !c->is_busy && !c->is_ending;
}

void
copy_worker_give(struct copy_worker *c, const struct copy_order *order, const uint8_t *data)
{
	struct error err = ERROR_INIT;

	copy_worker_stop_timer(c);
	c->is_busy = true;
	c->memory->order = *order;
	if (order->len > 0)
		memcpy(c->memory->data, data, order->len);
	/* The worker is idle, so the socket has room for a byte. If the worker has died, the job
	 * ends. */
	if (RETRY_EINTR(send(c->sock[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL)) != 1)
		job_cancel(c->job, ERROR_INTERNAL, "the copy worker does not accept orders");
	c->timer = loop_timer(c->spec.loop, ORDER_MS, copy_worker_on_late, c, &err);
	if (!c->timer)
		log_warn("files", "a copy runs without a time limit: %s", err.msg);
}

static void
copy_worker_on_late(void *data)
{
	struct copy_worker *c = data;

	c->timer = NULL;
	job_cancel(c->job, ERROR_DEADLINE_EXCEEDED,
		   "the file system did not answer within a minute");
}

static int
copy_worker_take_result(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct copy_worker *c = data;
	struct copy_result result;

	(void)job;
	if (!c->is_busy)
		return error_set(err, ERROR_INTERNAL,
				 "the copy worker sent a result without an order");
	memcpy(&result, m->payload, sizeof(result));
	copy_worker_stop_timer(c);
	c->is_busy = false;
	copy_worker_wait_idle(c);
	c->spec.done(c, &result, c->spec.data);
	return 0;
}

static void
copy_worker_wait_idle(struct copy_worker *c)
{
	struct error err = ERROR_INIT;

	c->timer = loop_timer(c->spec.loop, IDLE_MS, copy_worker_on_idle, c, &err);
	if (!c->timer)
		copy_worker_on_idle(c);
}

/* Ends the worker: it exits at the end of file. */
static void
copy_worker_on_idle(void *data)
{
	struct copy_worker *c = data;

	c->timer = NULL;
	c->is_ending = true;
	close_fd(&c->sock[0]);
}

static void
copy_worker_on_done(struct job *job, const struct error *err, void *data)
{
	struct copy_worker *c = data;
	struct copy_result result = { .err = *err };

	(void)job;
	c->job = NULL;
	copy_worker_stop_timer(c);
	c->is_ending = true;
	if (c->is_busy) {
		c->is_busy = false;
		if (result.err.code == ERROR_OK)
			error_set(&result.err, ERROR_INTERNAL,
				  "the copy worker exited unexpectedly");
		c->spec.done(c, &result, c->spec.data);
	}
	c->spec.gone(c, c->spec.data);
}

void
copy_worker_free(struct copy_worker *c)
{
	if (!c)
		return;
	list_remove(&c->node);
	timer_cancel(c->timer);
	close_fd(&c->sock[0]);
	close_fd(&c->sock[1]);
	if (c->memory) {
		/* workers forked meanwhile map this memory, too, the splice worker forever */
		(void)madvise(c->memory, sizeof(*c->memory), MADV_REMOVE);
		(void)munmap(c->memory, sizeof(*c->memory));
	}
	free(c);
}

struct list *
copy_worker_node(struct copy_worker *c)
{
	return &c->node;
}

struct copy_worker *
copy_worker_of_node(struct list *node)
{
	return list_entry(node, struct copy_worker, node);
}
