/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The splice worker: a worker with its own event loop. The agent sends it orders over a
 * SOCK_SEQPACKET socket, and it reports the end of streams. If it exits, all of its streams end,
 * and the next stream starts a new worker.
 */
#include "agent/container/stdio/splice_worker.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/container/stdio/splice.h"
#include "agent/container/stdio/stdio.h"
#include "agent/job/job.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/log.h"

enum pump_order {
	/* With two fds: from, to. */
	PUMP_ADD = 1,
	PUMP_EXITED,
	PUMP_DROP,
	/* Sent to the agent. */
	PUMP_ENDED,
};

struct pump_msg {
	/* One of enum pump_order. */
	uint32_t order;
	/* For PUMP_ENDED. */
	int32_t errnum;
	uint64_t id;
};

struct splice_worker {
	struct loop *loop;
	struct jobs *jobs;
	/* NULL: no worker runs. */
	struct job *job;
	/* Ends of the socket. The agent keeps `far`, the worker's, as long as the job exists. */
	int near, far;
	struct watch *watch;
	struct list streams;
	uint64_t last_id;
};

struct splice_stream {
	struct list node;
	struct splice_worker *splice_worker;
	uint64_t id;
	splice_worker_done_fn *done;
	void *data;
};

struct pump_side {
	struct loop *loop;
	int sock;
	struct watch *watch;
	struct list splices;
};

static int splice_worker_start(struct splice_worker *p, struct error *err);
static void splice_worker_on_done(struct job *job, const struct error *err, void *data);
static void splice_worker_on_report(uint32_t events, void *data);
static int splice_worker_work(struct worker *w, void *arg, struct error *err);
static void splice_worker_on_order(uint32_t events, void *data);
static void splice_worker_begin_moving(struct pump_side *side, uint64_t id, const int *fds);

/* ---- the agent ---- */

static void
splice_worker_hang_up(struct splice_worker *p)
{
	loop_unwatch(p->watch);
	p->watch = NULL;
	close_fd(&p->near);
	close_fd(&p->far);
}

static int
splice_worker_send_order(const struct splice_stream *s, enum pump_order what, const int *fds,
			 size_t n_fds)
{
	struct pump_msg msg = { .order = what, .id = s->id };

	return send_msg(s->splice_worker->near, &msg, sizeof(msg), fds, n_fds, MSG_DONTWAIT);
}

struct splice_worker *
splice_worker_new(struct loop *loop, struct jobs *jobs, struct error *err)
{
	struct splice_worker *p = calloc(1, sizeof(*p));

	if (!p) {
		error_nomem(err, "creating the splice worker");
		return NULL;
	}
	p->loop = loop;
	p->jobs = jobs;
	p->near = p->far = -1;
	list_init(&p->streams);
	return p;
}

void
splice_worker_free(struct splice_worker *p)
{
	if (!p)
		return;
	while (!list_is_empty(&p->streams)) {
		struct splice_stream *s = list_entry(p->streams.next, struct splice_stream, node);

		list_remove(&s->node);
		free(s);
	}
	splice_worker_hang_up(p);
	free(p);
}

struct splice_stream *
splice_worker_add(struct splice_worker *p, int from, int to, splice_worker_done_fn *done,
		  void *data, struct error *err)
{
	int fds[2] = { from, to };
	struct splice_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		error_nomem(err, "splicing a stream");
	} else if (p->job || splice_worker_start(p, err) == 0) {
		*s = (struct splice_stream){
			.splice_worker = p, .id = ++p->last_id, .done = done, .data = data
		};
		if (splice_worker_send_order(s, PUMP_ADD, fds, 2) < 0) {
			error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				       "failed to send a stream to the splice worker");
			free(steal_ptr(&s));
		}
	} else {
		free(steal_ptr(&s));
	}
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	if (!s)
		return NULL;
	list_append(&p->streams, &s->node);
	return s;
}

static const struct job_ops pump_job = {
	.name = "splice streams",
	.work = splice_worker_work,
	.done = splice_worker_on_done,
};

static int
splice_worker_start(struct splice_worker *p, struct error *err)
{
	struct job_spec job = {
		.ops = &pump_job,
		.arg = p,
		.data = p,
		.keep_fds = &p->far,
		.n_keep_fds = 1,
		.flags = JOB_URGENT,
	};
	const struct log_context *former;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to create the splice worker's socket");
	p->near = fds[0];
	p->far = fds[1];
	p->watch = loop_watch(p->loop, p->near, EPOLLIN, splice_worker_on_report, p, err);
	/* The worker serves all calls: its log records must not carry the fields of the first
	 * one. */
	former = log_context_set(NULL);
	if (p->watch)
		p->job = job_start(p->jobs, &job, err);
	(void)log_context_set(former);
	if (p->job)
		return 0;
	splice_worker_hang_up(p);
	return -1;
}

static void
splice_worker_stream_ended(struct splice_stream *s)
{
	splice_worker_done_fn *done = s->done;
	void *data = s->data;

	list_remove(&s->node);
	free(s);
	done(data);
}

static void
splice_worker_on_done(struct job *job, const struct error *err, void *data)
{
	struct splice_worker *p = data;

	(void)job;
	log_error("stdio",
		  "the splice worker exited unexpectedly, all of its streams are closed: %s",
		  err->code != ERROR_OK ? err->msg : "no error reported");
	p->job = NULL;
	splice_worker_hang_up(p);
	while (!list_is_empty(&p->streams))
		splice_worker_stream_ended(list_entry(p->streams.next, struct splice_stream, node));
}

static void
splice_worker_on_report(uint32_t events, void *data)
{
	struct splice_worker *p = data;
	struct pump_msg msg;
	struct list *pos, *next;
	size_t n_fds = 0;
	int fds[IO_FDS_MAX];
	ssize_t n = recv_msg(p->near, &msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT);

	(void)events;
	for (size_t i = 0; i < n_fds; i++)
		close_fd(&fds[i]);
	if (n != sizeof(msg) || msg.order != PUMP_ENDED) {
		/* The job reports the worker's exit. */
		if (n >= 0 || !watch_may_retry(p->watch, errno))
			watch_set_events(p->watch, 0);
		return;
	}
	list_for_each_safe (pos, next, &p->streams) {
		struct splice_stream *s = list_entry(pos, struct splice_stream, node);

		if (s->id != msg.id)
			continue;
		if (msg.errnum && msg.errnum != EPIPE && msg.errnum != ECONNRESET) {
			struct error why = ERROR_INIT;

			errno = msg.errnum;
			error_sys(&why, "failed to splice a stream");
			log_warn("stdio", "%s", why.msg);
		}
		splice_worker_stream_ended(s);
		return;
	}
}

void
splice_worker_exited(struct splice_stream *s)
{
	/* If sending fails, the worker has ended or is about to. */
	if (splice_worker_send_order(s, PUMP_EXITED, NULL, 0) < 0)
		log_warn("stdio", "failed to notify the splice worker of an exit: %s",
			 strerror(errno));
}

void
splice_worker_drop(struct splice_stream *s)
{
	if (!s)
		return;
	if (splice_worker_send_order(s, PUMP_DROP, NULL, 0) < 0)
		log_warn("stdio", "failed to drop a stream in the splice worker: %s",
			 strerror(errno));
	list_remove(&s->node);
	free(s);
}

/* ---- the worker ---- */

static int
splice_worker_work(struct worker *w, void *arg, struct error *err)
{
	const struct splice_worker *p = arg;
	struct pump_side side = { .sock = p->far };

	(void)w;
	(void)prctl(PR_SET_NAME, "kata-splice");
	list_init(&side.splices);
	side.loop = loop_new(err);
	if (side.loop)
		side.watch = loop_watch(side.loop, side.sock, EPOLLIN, splice_worker_on_order,
					&side, err);
	if (!side.watch)
		return -1;
	return loop_run(side.loop, err);
}

struct moving {
	struct list node;
	struct pump_side *side;
	uint64_t id;
	struct splice *splice;
};

static struct moving *
splice_worker_find_moving(const struct pump_side *side, uint64_t id)
{
	struct list *pos;

	list_for_each (pos, &side->splices) {
		struct moving *m = list_entry(pos, struct moving, node);

		if (m->id == id)
			return m;
	}
	return NULL;
}

static void
splice_worker_moving_free(struct moving *m)
{
	list_remove(&m->node);
	splice_free(m->splice);
	free(m);
}

static void
splice_worker_on_order(uint32_t events, void *data)
{
	struct pump_side *side = data;
	struct pump_msg msg;
	struct moving *m;
	int fds[IO_FDS_MAX];
	size_t n_fds = 0;
	ssize_t n = recv_msg(side->sock, &msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && watch_may_retry(side->watch, errno))
		return;
	if (n != sizeof(msg)) {
		/* The agent has exited. */
		loop_stop(side->loop);
		return;
	}
	if (msg.order == PUMP_ADD && n_fds == 2) {
		splice_worker_begin_moving(side, msg.id, fds);
		return;
	}
	for (size_t i = 0; i < n_fds; i++)
		close_fd(&fds[i]);
	m = splice_worker_find_moving(side, msg.id);
	if (m && msg.order == PUMP_EXITED)
		splice_exited(m->splice, STDIO_UNREAD_MS);
	else if (m && msg.order == PUMP_DROP)
		splice_worker_moving_free(m);
}

static void
splice_worker_report_end(const struct pump_side *side, uint64_t id, int errnum)
{
	struct pump_msg msg = { .order = PUMP_ENDED, .errnum = errnum, .id = id };

	/* Blocking is acceptable, because the agent always reads. */
	(void)send_msg(side->sock, &msg, sizeof(msg), NULL, 0, 0);
}

static void
splice_worker_on_splice_done(struct splice *r, int errnum, void *data)
{
	struct moving *m = data;

	(void)r;
	splice_worker_report_end(m->side, m->id, errnum);
	splice_worker_moving_free(m);
}

static void
splice_worker_begin_moving(struct pump_side *side, uint64_t id, const int *fds)
{
	struct error err = ERROR_INIT;
	struct moving *m = calloc(1, sizeof(*m));
	int from = fds[0], to = fds[1];

	if (!m) {
		close_fd(&from);
		close_fd(&to);
		splice_worker_report_end(side, id, ENOMEM);
		return;
	}
	list_init(&m->node);
	m->side = side;
	m->id = id;
	m->splice = splice_new(side->loop, from, to, splice_worker_on_splice_done, m, &err);
	if (!m->splice) {
		free(m);
		splice_worker_report_end(side, id, err.errnum ? err.errnum : ENOMEM);
		return;
	}
	list_append(&side->splices, &m->node);
}
