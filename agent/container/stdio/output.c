/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdout and stderr of a process, read for the host. Called by process.c and the read calls.
 *
 *   open -> exited -> draining -> ended
 *
 *   open      reads wait for data
 *   exited    the process is gone: reads wait at most STDIO_QUIET_MS for data
 *   draining  its exit status was reported: unread data waits at most unread_ms for a read
 *   ended     the fd is closed, and all reads are answered without data
 *
 * A stream ends at its end of file in any state. One that is passed to the splice worker goes from
 * open to ended. Must never block, and must never read ahead of a request: the pipe throttles a
 * container whose output is not read.
 */
#include "agent/container/stdio/stdio.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/container/stdio/splice_worker.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* Size of a read if the number of readable bytes is unknown. */
#define READ_GUESS 4096
/* A request for at most this much is read without asking first how much there is. The reply has
 * room for it then, of which only what is read is touched. */
#define READ_AT_ONCE (64u << 10)

static enum stdio_outcome output_read_now(struct output *o, struct stdio_read *r,
					  struct error *err);
static void output_wait(struct output *o);
static void output_read_unwanted(struct pending *p);
static void output_on_readable(uint32_t events, void *data);
static void output_arm_quiet(struct output *o);
static void output_arm_unread(struct output *o);
static void output_end(struct output *o);

/* Returns whether a terminal that no process has open can be reopened, which is so until its
 * process exits. */
static bool
output_may_reopen(const struct output *o)
{
	return o->tty && !o->exited;
}

void
output_init(struct output *o, struct loop *loop, int fd, void (*on_end)(void *data), void *data)
{
	*o = (struct output){
		.loop = loop,
		.fd = fd,
		.unread_ms = STDIO_UNREAD_MS,
		.on_end = on_end,
		.data = data,
	};
	o->ended = fd < 0;
	list_init(&o->readers);
}

enum stdio_outcome
output_read(struct output *o, struct stdio_read *r, struct error *err)
{
	enum stdio_outcome outcome;

	list_init(&r->node);
	r->data = NULL;
	r->len = 0;
	if (o->ended || o->is_passed || r->max == 0)
		return STDIO_DONE;
	if (list_is_empty(&o->readers)) {
		outcome = output_read_now(o, r, err);
		if (outcome == STDIO_DONE && r->len == 0)
			output_end(o);
		else if (o->draining)
			output_arm_quiet(o);
		if (outcome != STDIO_WAITS)
			return outcome;
		if (!o->watch) {
			o->watch = loop_watch(o->loop, o->fd, EPOLLIN, output_on_readable, o, err);
			if (!o->watch)
				return STDIO_FAILED;
		}
		output_wait(o);
		if (o->exited)
			output_arm_quiet(o);
		if (o->ended)
			return STDIO_DONE;
	}
	r->output = o;
	r->pending.cancel = output_read_unwanted;
	list_append(&o->readers, &r->node);
	return STDIO_WAITS;
}

/* Returns the number of readable bytes; 0 with *at_end set at the end of the stream. Needed before
 * a large read, to allocate the reply. */
static size_t
output_available(const struct output *o, bool *at_end)
{
	struct pollfd pfd = { .fd = o->fd, .events = POLLIN };
	int n = 0;

	*at_end = false;
	if (ioctl(o->fd, FIONREAD, &n) == 0 && n > 0)
		return (size_t)n;
	if (RETRY_EINTR(poll(&pfd, 1, 0)) <= 0)
		return 0;
	/* The kernel checks for data before it checks for writers: the last writer may have
	 * written and closed in between. */
	if (!(pfd.revents & POLLIN))
		(void)RETRY_EINTR(poll(&pfd, 1, 0));
	if (pfd.revents & POLLIN)
		return ioctl(o->fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : READ_GUESS;
	*at_end = !output_may_reopen(o);
	return 0;
}

/* Reads once. Returns STDIO_WAITS if there is no data, and STDIO_DONE with len 0 at the end of
 * the stream. */
static enum stdio_outcome
output_read_now(struct output *o, struct stdio_read *r, struct error *err)
{
	bool at_end = false;
	size_t n = r->max <= READ_AT_ONCE ? r->max : output_available(o, &at_end);
	ssize_t got;

	r->len = 0;
	if (at_end)
		return STDIO_DONE;
	if (n == 0)
		return STDIO_WAITS;
	if (n > r->max)
		n = r->max;
	if (n > STDIO_READ_MAX)
		n = STDIO_READ_MAX;
	r->data = r->buffer(r, n);
	if (!r->data)
		return error_nomem(err, "reading a stream");
	do
		got = read(o->fd, r->data, n);
	while (got < 0 && errno == EINTR);
	if (got >= 0) {
		r->len = (size_t)got;
		if (got > 0 && r->filled)
			r->filled(r);
		return STDIO_DONE;
	}
	if (errno == EAGAIN)
		return STDIO_WAITS;
	/* The master of a pty reports EIO after the last slave was closed. */
	if (errno == EIO)
		return output_may_reopen(o) ? STDIO_WAITS : STDIO_DONE;
	error_sys(err, "failed to read a stream");
	return STDIO_FAILED;
}

/* Watches for data. A terminal that no process has open reports POLLHUP permanently, so it is
 * watched edge-triggered. */
static void
output_wait(struct output *o)
{
	struct pollfd pfd = { .fd = o->fd, .events = POLLIN };
	bool is_hung_up = output_may_reopen(o) && poll(&pfd, 1, 0) > 0 && !(pfd.revents & POLLIN);

	watch_set_events(o->watch, is_hung_up ? EPOLLIN | EPOLLET : EPOLLIN);
}

/* Stops watching the fd after the last reader has left. */
static void
output_stop_waiting(struct output *o)
{
	if (o->watch)
		watch_set_events(o->watch, 0);
	if (!o->draining) {
		timer_cancel(o->quiet);
		o->quiet = NULL;
	}
}

static void
output_read_unwanted(struct pending *p)
{
	struct stdio_read *r = pending_entry(p, struct stdio_read, pending);

	list_remove(&r->node);
	if (list_is_empty(&r->output->readers))
		output_stop_waiting(r->output);
}

/* Serves one reader. The loop calls again while there is more data. */
static void
output_on_readable(uint32_t events, void *data)
{
	struct output *o = data;
	struct stdio_read *r;
	struct error err = ERROR_INIT;
	enum stdio_outcome outcome;

	(void)events;
	if (list_is_empty(&o->readers))
		return;
	r = list_entry(o->readers.next, struct stdio_read, node);
	outcome = output_read_now(o, r, &err);
	if (outcome == STDIO_WAITS) {
		output_wait(o);
		return;
	}
	if (outcome == STDIO_DONE && r->len == 0) {
		output_end(o);
		return;
	}
	list_remove(&r->node);
	(void)pending_end(&r->pending);
	if (list_is_empty(&o->readers)) {
		output_stop_waiting(o);
	} else {
		output_wait(o);
		if (o->exited)
			output_arm_quiet(o);
	}
	r->done(r, &err);
}

void
output_exited(struct output *o)
{
	bool at_end;

	o->exited = true;
	if (o->passed) {
		splice_worker_exited(o->passed);
		return;
	}
	if (o->ended || list_is_empty(&o->readers))
		return;
	if (output_available(o, &at_end) == 0 && at_end)
		output_end(o);
	else
		output_arm_quiet(o);
}

static void
output_on_quiet(void *data)
{
	struct output *o = data;
	bool at_end;

	o->quiet = NULL;
	if (output_available(o, &at_end) == 0)
		output_end(o);
	else if (!list_is_empty(&o->readers))
		output_arm_quiet(o);
	else if (o->draining)
		output_arm_unread(o);
}

/* Restarts the timeout for a stream without data. If no timer can be allocated, the stream ends. */
static void
output_arm_quiet(struct output *o)
{
	struct error err = ERROR_INIT;

	timer_cancel(o->quiet);
	o->quiet = loop_timer(o->loop, STDIO_QUIET_MS, output_on_quiet, o, &err);
	if (!o->quiet)
		output_end(o);
}

void
output_drain(struct output *o)
{
	bool at_end;

	o->draining = true;
	if (o->ended || o->is_passed || !list_is_empty(&o->readers))
		return;
	if (output_available(o, &at_end) > 0)
		output_arm_unread(o);
	else if (at_end)
		output_end(o);
	else
		output_arm_quiet(o);
}

static void
output_on_unread(void *data)
{
	struct output *o = data;

	o->quiet = NULL;
	output_end(o);
}

/* Restarts the timeout for unread data, after the process's status was reported. */
static void
output_arm_unread(struct output *o)
{
	struct error err = ERROR_INIT;

	timer_cancel(o->quiet);
	o->quiet = loop_timer(o->loop, o->unread_ms, output_on_unread, o, &err);
	if (!o->quiet)
		output_end(o);
}

static void
output_on_passed(void *data)
{
	struct output *o = data;

	o->passed = NULL;
	output_end(o);
}

int
output_pass(struct output *o, struct splice_worker *splice_worker, int to, struct error *err)
{
	o->passed =
		splice_worker_add(splice_worker, steal_fd(&o->fd), to, output_on_passed, o, err);
	o->is_passed = true;
	return o->passed ? 0 : -1;
}

static void
output_close_all(struct output *o)
{
	timer_cancel(o->quiet);
	o->quiet = NULL;
	loop_unwatch(o->watch);
	o->watch = NULL;
	splice_worker_drop(o->passed);
	o->passed = NULL;
	close_fd(&o->fd);
}

/* Completes all reads with an empty reply. */
static void
output_end_readers(struct output *o)
{
	struct error none = ERROR_INIT;

	while (!list_is_empty(&o->readers)) {
		struct stdio_read *r = list_entry(o->readers.next, struct stdio_read, node);

		list_remove(&r->node);
		(void)pending_end(&r->pending);
		r->len = 0;
		r->done(r, &none);
	}
}

static void
output_end(struct output *o)
{
	if (o->ended)
		return;
	o->ended = true;
	output_close_all(o);
	if (o->on_end)
		o->on_end(o->data);
	output_end_readers(o);
}

void
output_release(struct output *o)
{
	o->ended = true;
	o->on_end = NULL;
	output_close_all(o);
	output_end_readers(o);
}
