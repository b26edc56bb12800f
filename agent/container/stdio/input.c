/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdin of a process, written for the host. Called by process.c and the write calls.
 *
 *   open -> closing -> closed
 *
 *   open     writes that do not fit wait in `writers`, or the splice worker moves the stream
 *   closing  `end` waits behind them: the end-of-file character of a terminal, nothing for a pipe
 *   closed   a pipe is closed; the master of a terminal stays open, to set its size
 *
 * Must never block: data for a full pipe waits in the memory of its request.
 */
#include "agent/container/stdio/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/stdio/splice_worker.h"
#include "lib/cleanup.h"

/* Limit on the writes of one event, for fairness to other streams. */
#define ROUNDS_MAX 16

static enum stdio_outcome input_write_now(struct input *in, struct stdio_write *w,
					  struct error *err);
static bool input_wait_room(struct input *in);
static void input_on_retry(void *data);
static int input_start_waiting(struct input *in, struct error *err);
static void input_write_unwanted(struct pending *p);
static void input_on_writable(uint32_t events, void *data);
static void input_ended(struct input *in);

static void
input_close_pipe(struct input *in)
{
	splice_worker_drop(in->passed);
	in->passed = NULL;
	timer_cancel(in->retry);
	in->retry = NULL;
	loop_unwatch(in->watch);
	in->watch = NULL;
	close_fd(&in->fd);
}

/* Adapts watch and timer to the queue of writers. */
static void
input_update_watch(struct input *in)
{
	if (list_is_empty(&in->writers)) {
		timer_cancel(in->retry);
		in->retry = NULL;
	}
	if (in->watch)
		watch_set_events(in->watch,
				 list_is_empty(&in->writers) || in->retry ? 0 : EPOLLOUT);
}

void
input_init(struct input *in, struct loop *loop, int fd, bool tty)
{
	*in = (struct input){ .loop = loop, .fd = fd, .tty = tty, .closing = fd < 0 };
	list_init(&in->writers);
	list_init(&in->end.node);
}

enum stdio_outcome
input_write(struct input *in, struct stdio_write *w, struct error *err)
{
	list_init(&w->node);
	w->before = w->written = 0;
	if (in->closing || in->passed || in->fd < 0) {
		error_set(err, ERROR_INTERNAL, "Cannot get writer: stdin is %s",
			  in->passed ? "passed through" : "closed");
		return STDIO_FAILED;
	}
	if (list_is_empty(&in->writers)) {
		enum stdio_outcome outcome = input_write_now(in, w, err);

		if (outcome != STDIO_WAITS)
			return outcome;
		if (input_start_waiting(in, err) < 0)
			return w->written > 0 ? STDIO_DONE : STDIO_FAILED;
	}
	w->input = in;
	w->pending.cancel = input_write_unwanted;
	list_append(&in->writers, &w->node);
	input_update_watch(in);
	return STDIO_WAITS;
}

/* Prepares the last write: the terminal's end-of-file character, or no bytes for a pipe. */
static void
input_prepare_end(struct input *in)
{
	struct termios attr;

	if (!in->tty)
		return;
	in->veof[0] = 'D' - '@';
	if (tcgetattr(in->fd, &attr) == 0 && attr.c_cc[VEOF] != _POSIX_VDISABLE)
		in->veof[0] = attr.c_cc[VEOF];
	in->veof[1] = in->veof[0];
	in->end.data = in->veof;
	in->end.len = in->mid_line ? 2 : 1;
}

/* Writes as much of `w` as possible. Returns STDIO_WAITS if some is left. */
static enum stdio_outcome
input_write_now(struct input *in, struct stdio_write *w, struct error *err)
{
	if (w == &in->end)
		input_prepare_end(in);
	for (int i = 0; i < ROUNDS_MAX && w->written < w->len; i++) {
		ssize_t n = write(in->fd, w->data + w->written, w->len - w->written);

		if (n > 0 && w != &in->end) {
			uint8_t last = w->data[w->written + (size_t)n - 1];

			in->mid_line = last != '\n' && last != '\r' && last != 'D' - '@';
		}
		if (n >= 0) {
			w->written += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN && input_wait_room(in))
			return STDIO_WAITS;
		/* Without a reader the first part is lost, too. */
		if (w->before + w->written > 0 && errno != EPIPE && errno != EIO)
			return STDIO_DONE;
		error_sys_code(err, ERROR_INTERNAL, "failed to write to stdin");
		return STDIO_FAILED;
	}
	return w->written < w->len ? STDIO_WAITS : STDIO_DONE;
}

/* Called when there is no room. A terminal that no process has open stays full, but another
 * process may open it while the first one lives, so a timer retries. Returns false if waiting is
 * pointless. */
static bool
input_wait_room(struct input *in)
{
	struct pollfd pfd = { .fd = in->fd };
	struct error err = ERROR_INIT;

	if (!in->tty || poll(&pfd, 1, 0) <= 0 || !(pfd.revents & POLLHUP))
		return true;
	if (!in->retry && !in->exited)
		in->retry = loop_timer(in->loop, STDIO_RETRY_MS, input_on_retry, in, &err);
	errno = EIO;
	return in->retry != NULL;
}

static void
input_on_retry(void *data)
{
	struct input *in = data;

	in->retry = NULL;
	input_on_writable(0, in);
}

static int
input_start_waiting(struct input *in, struct error *err)
{
	if (!in->watch)
		in->watch = loop_watch(in->loop, in->fd, EPOLLOUT, input_on_writable, in, err);
	return in->watch ? 0 : -1;
}

static void
input_write_unwanted(struct pending *p)
{
	struct stdio_write *w = pending_entry(p, struct stdio_write, pending);

	list_remove(&w->node);
	input_update_watch(w->input);
}

/* Serves the first writer. The loop calls again while there are more. */
static void
input_on_writable(uint32_t events, void *data)
{
	struct input *in = data;
	struct stdio_write *w;
	struct error err = ERROR_INIT;

	(void)events;
	if (list_is_empty(&in->writers))
		return;
	w = list_entry(in->writers.next, struct stdio_write, node);
	if (input_write_now(in, w, &err) == STDIO_WAITS) {
		input_update_watch(in);
		return;
	}
	if (w == &in->end) {
		input_ended(in);
		return;
	}
	list_remove(&w->node);
	(void)pending_end(&w->pending);
	input_update_watch(in);
	w->done(w, &err);
}

void
input_move_rest(struct stdio_write *w, const uint8_t *rest)
{
	w->data = rest;
	w->before += w->written;
	w->len -= w->written;
	w->written = 0;
}

void
input_close(struct input *in)
{
	struct error err = ERROR_INIT;

	if (in->closing)
		return;
	in->closing = true;
	/* The splice worker has the fd. */
	if (in->fd < 0) {
		input_close_pipe(in);
		return;
	}
	if (list_is_empty(&in->writers)) {
		if (input_write_now(in, &in->end, &err) != STDIO_WAITS ||
		    input_start_waiting(in, &err) < 0) {
			input_ended(in);
			return;
		}
	}
	list_append(&in->writers, &in->end.node);
	input_update_watch(in);
}

/* Completes `end`, the first in the queue. */
static void
input_ended(struct input *in)
{
	list_remove(&in->end.node);
	if (in->tty)
		input_update_watch(in);
	else
		input_close_pipe(in);
}

/* Called when the host has closed its end, or the process its own. */
static void
input_on_passed(void *data)
{
	struct input *in = data;

	in->passed = NULL;
	/* The data was not inspected. */
	in->mid_line = true;
	input_close(in);
}

int
input_pass(struct input *in, struct splice_worker *splice_worker, int from, struct error *err)
{
	/* The master is kept, to set the terminal's size and to write the end-of-file character. */
	int to = in->tty ? fcntl(in->fd, F_DUPFD_CLOEXEC, 3) : steal_fd(&in->fd);

	if (to < 0) {
		close_fd(&from);
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to duplicate the terminal's master");
	}
	in->passed = splice_worker_add(splice_worker, from, to, input_on_passed, in, err);
	return in->passed ? 0 : -1;
}

void
input_exited(struct input *in)
{
	in->exited = true;
	if (!in->retry)
		return;
	timer_cancel(in->retry);
	input_on_retry(in);
}

void
input_linger(struct input *in)
{
	input_release(in);
}

void
input_release(struct input *in)
{
	struct error err = ERROR_INIT;

	in->closing = true;
	input_close_pipe(in);
	error_set(&err, ERROR_ABORTED, "failed to write to stdin: the process has ended");
	while (!list_is_empty(&in->writers)) {
		struct stdio_write *w = list_entry(in->writers.next, struct stdio_write, node);

		list_remove(&w->node);
		(void)pending_end(&w->pending);
		if (w != &in->end)
			w->done(w, &err);
	}
}
