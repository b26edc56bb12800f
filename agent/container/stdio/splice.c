/* SPDX-License-Identifier: Apache-2.0 */
/* Splicing of one stream (splice.h). Only the side that blocks is watched, so a stalled stream
 * causes no wakeups. */
#include "agent/container/stdio/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/stdio/stdio.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* Limit on one splice, in bytes. To a vsock, each splice is a packet, for which the kernel
 * allocates contiguous memory; vhost-device-vsock (0.3.0) silently drops packets in several
 * pieces. If the source is not a pipe, the kernel allocates the requested size regardless of the
 * available data. */
#define PIECE_MAX (32u << 10)
#define PIPE_SIZE (256 << 10)

/* Limit on the splices of one event, for fairness to other streams. */
#define ROUNDS_MAX 16

enum step {
	STEP_MOVED,
	STEP_WAIT_IN,
	STEP_WAIT_OUT,
	/* No process has the terminal open. */
	STEP_HUNG_UP,
	STEP_END,
};

struct splice {
	struct loop *loop;
	int from, to;
	/* The pipe between two descriptors that are not pipes; otherwise -1. */
	int mid[2];
	/* Bytes in mid. */
	size_t held;
	bool from_tty, to_tty;
	bool exited;
	/* Valid after the exit. */
	uint64_t unread_ms;
	int errnum;
	struct watch *in, *out;
	/* Timeout without data after the exit, timeout of data that the host does not read, or
	 * retry of a write to a terminal. */
	struct timer *quiet;
	splice_done_fn *done;
	void *data;
};

static int splice_prepare(struct splice *r, struct error *err);
static void splice_on_ready(uint32_t events, void *data);
static void splice_move_on(struct splice *r);
static enum step splice_once(struct splice *r, int from, int to, size_t max, size_t *moved);
static enum step splice_through(struct splice *r);
static void splice_end(struct splice *r);

struct splice *
splice_new(struct loop *loop, int from, int to, splice_done_fn *done, void *data, struct error *err)
{
	struct splice *r = calloc(1, sizeof(*r));

	if (!r) {
		close_fd(&from);
		close_fd(&to);
		error_nomem(err, "splicing a stream");
		return NULL;
	}
	*r = (struct splice){
		.loop = loop,
		.from = from,
		.to = to,
		.mid = { -1, -1 },
		.done = done,
		.data = data,
	};
	if (splice_prepare(r, err) < 0) {
		splice_free(r);
		return NULL;
	}
	return r;
}

static int
splice_prepare_fd(int fd, bool *is_pipe, bool *is_tty, struct error *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "failed to prepare a stream for splicing");
	*is_pipe = S_ISFIFO(st.st_mode);
	*is_tty = S_ISCHR(st.st_mode);
	/* A larger pipe allows larger splices; its pages are charged to the writer. */
	if (*is_pipe && fcntl(fd, F_GETPIPE_SZ) < PIPE_SIZE)
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
	return 0;
}

static int
splice_prepare(struct splice *r, struct error *err)
{
	bool from_is_pipe, to_is_pipe;

	if (splice_prepare_fd(r->from, &from_is_pipe, &r->from_tty, err) < 0 ||
	    splice_prepare_fd(r->to, &to_is_pipe, &r->to_tty, err) < 0)
		return -1;
	if (!from_is_pipe && !to_is_pipe && pipe2(r->mid, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to create a pipe for splicing");
	r->in = loop_watch(r->loop, r->from, EPOLLIN, splice_on_ready, r, err);
	if (r->in)
		r->out = loop_watch(r->loop, r->to, 0, splice_on_ready, r, err);
	return r->out ? 0 : -1;
}

void
splice_exited(struct splice *r, uint64_t unread_ms)
{
	if (r->exited)
		return;
	r->exited = true;
	r->unread_ms = unread_ms;
	splice_move_on(r);
}

static void
splice_on_ready(uint32_t events, void *data)
{
	(void)events;
	splice_move_on(data);
}

static bool
splice_is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return RETRY_EINTR(poll(&pfd, 1, 0)) > 0 && pfd.revents & POLLIN;
}

static void
splice_on_quiet(void *data)
{
	struct splice *r = data;

	r->quiet = NULL;
	/* The watch is about to fire. */
	if (splice_is_readable(r->from))
		return;
	splice_end(r);
}

/* Called when the host has not read the remaining data in time. */
static void
splice_on_unread(void *data)
{
	struct splice *r = data;

	r->quiet = NULL;
	r->errnum = ETIMEDOUT;
	splice_end(r);
}

/* Restarts the timer. If none can be allocated, the stream ends. */
static void
splice_arm(struct splice *r, uint64_t ms, timer_fn *fn)
{
	struct error err = ERROR_INIT;

	timer_cancel(r->quiet);
	r->quiet = loop_timer(r->loop, ms, fn, r, &err);
	if (r->quiet)
		return;
	r->errnum = ENOMEM;
	splice_end(r);
}

static void
splice_on_retry(void *data)
{
	struct splice *r = data;

	r->quiet = NULL;
	splice_move_on(r);
}

static void
splice_move_on(struct splice *r)
{
	enum step step = STEP_MOVED;
	size_t moved;

	for (int i = 0; i < ROUNDS_MAX && step == STEP_MOVED; i++)
		step = r->mid[0] >= 0 ? splice_through(r)
				      : splice_once(r, r->from, r->to, PIECE_MAX, &moved);
	if (step == STEP_END) {
		splice_end(r);
		return;
	}
	timer_cancel(r->quiet);
	r->quiet = NULL;
	if (step == STEP_HUNG_UP) {
		/* Waits until another process opens the terminal, which is possible while the first
		 * one lives. Output of that process triggers the edge-triggered watch; that it
		 * reads input is not reported, so a timer retries. */
		watch_set_events(r->in, r->from_tty ? EPOLLIN | EPOLLET : 0);
		watch_set_events(r->out, 0);
		if (!r->from_tty)
			splice_arm(r, STDIO_RETRY_MS, splice_on_retry);
		return;
	}
	/* After STEP_MOVED, the loop calls again if the stream can proceed. */
	watch_set_events(r->in, step == STEP_WAIT_OUT || r->held > 0 ? 0 : EPOLLIN);
	watch_set_events(r->out, step == STEP_WAIT_OUT || r->held > 0 ? EPOLLOUT : 0);
	/* The timers are needed after STEP_MOVED, too: those may have been the last bytes. */
	if (!r->exited)
		return;
	if (step != STEP_WAIT_OUT && r->held == 0)
		splice_arm(r, STDIO_QUIET_MS, splice_on_quiet);
	else
		splice_arm(r, r->unread_ms, splice_on_unread);
}

static bool
splice_is_hung_up(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) > 0 && pfd.revents & POLLHUP;
}

/* Splices once. On EAGAIN, polls `from` to find out which side would block. */
static enum step
splice_once(struct splice *r, int from, int to, size_t max, size_t *moved)
{
	ssize_t n;

	do
		n = splice(from, NULL, to, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	/* A terminal checks for data before it checks for users: the last user may have written
	 * and closed in between. */
	if (n < 0 && errno == EIO && r->from_tty && from == r->from && splice_is_readable(from))
		n = splice(from, NULL, to, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		*moved = (size_t)n;
		return STEP_MOVED;
	}
	if (n == 0)
		return STEP_END;
	if (errno == EAGAIN && splice_is_readable(from))
		return r->to_tty && splice_is_hung_up(r->to) ? STEP_HUNG_UP : STEP_WAIT_OUT;
	if (errno == EAGAIN)
		return STEP_WAIT_IN;
	/* The kernel has no memory for a packet at the moment. No data is lost; the splice is
	 * retried. */
	if (watch_may_retry(r->out, errno))
		return STEP_WAIT_OUT;
	/* The master of a terminal reports EIO after the last slave was closed. */
	if (errno == EIO && !r->exited && r->from_tty)
		return STEP_HUNG_UP;
	r->errnum = errno == EIO ? 0 : errno;
	return STEP_END;
}

static enum step
splice_through(struct splice *r)
{
	size_t moved = 0;
	enum step step;

	if (r->held == 0) {
		step = splice_once(r, r->from, r->mid[1], PIECE_MAX, &moved);
		r->held += moved;
		return step;
	}
	step = splice_once(r, r->mid[0], r->to, r->held, &moved);
	r->held -= moved;
	/* The intermediate pipe has data, so it is `to` that would block. */
	return step == STEP_WAIT_IN ? STEP_WAIT_OUT : step;
}

static void
splice_close_all(struct splice *r)
{
	timer_cancel(r->quiet);
	r->quiet = NULL;
	loop_unwatch(r->in);
	loop_unwatch(r->out);
	r->in = NULL;
	r->out = NULL;
	close_fd(&r->from);
	close_fd(&r->to);
	close_fd(&r->mid[0]);
	close_fd(&r->mid[1]);
}

static void
splice_end(struct splice *r)
{
	splice_close_all(r);
	r->done(r, r->errnum, r->data);
}

void
splice_free(struct splice *r)
{
	splice_close_all(r);
	free(r);
}
