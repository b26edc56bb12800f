/* SPDX-License-Identifier: Apache-2.0 */
/* See logsink.h. Wired by agent/agent_main.c; called by lib/log for every line, so it must not log
 * itself. */
#include "agent/server/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/server/address.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

/* The size of lib/log's ring. */
#define HISTORY_MAX (32u << 10)

struct logsink {
	struct loop *loop;
	/* -1: the sink is standard error. */
	int listener;
	/* For address_accept(). */
	int spare;
	char *path;
	struct watch *listen_watch;
	/* The fd to write to, -1: no reader. */
	int out;
	bool is_socket;
	/* NULL: a regular file, which is always ready. */
	struct watch *out_watch;
	/* The last lines. The first `sent` bytes were written to the current reader, which may not
	 * have read them; unacknowledged lines are repeated to the next reader. For standard error
	 * only lines that were not written yet are kept. */
	char history[HISTORY_MAX];
	size_t n_history, sent;
};

static bool logsink_take_line(const char *line, size_t len, void *data);
static bool logsink_push(struct logsink *sink);
static void logsink_use_address(struct logsink *sink, const char *address);
static void logsink_on_listener(uint32_t events, void *data);
static void logsink_serve(struct logsink *sink, int fd);
static void logsink_use_stderr(struct logsink *sink);

/* Drops the first n bytes of the history. */
static void
logsink_forget(struct logsink *sink, size_t n)
{
	sink->n_history -= n;
	sink->sent -= n < sink->sent ? n : sink->sent;
	memmove(sink->history, sink->history + n, sink->n_history);
}

static void
logsink_hang_up(struct logsink *sink)
{
	loop_unwatch(sink->out_watch);
	sink->out_watch = NULL;
	if (sink->out >= 0 && sink->listener >= 0)
		(void)shutdown(sink->out, SHUT_RDWR);
	close_fd(&sink->out);
	sink->sent = 0;
}

struct logsink *
logsink_new_at(struct loop *loop, const char *address, struct error *err)
{
	struct logsink *sink = calloc(1, sizeof(*sink));

	if (!sink) {
		error_nomem(err, "creating the log sink");
		return NULL;
	}
	sink->loop = loop;
	sink->listener = -1;
	sink->spare = -1;
	sink->out = -1;
	log_set_sink(logsink_take_line, sink);
	if (address)
		logsink_use_address(sink, address);
	else
		logsink_use_stderr(sink);
	(void)log_flush();
	return sink;
}

/* Watches for room to write or, without `wait`, only for the end of a connection. */
static void
logsink_wait_for_room(struct logsink *sink, bool wait)
{
	uint32_t idle = sink->listener >= 0 ? EPOLLIN : 0;

	if (sink->out_watch)
		watch_set_events(sink->out_watch, wait ? idle | EPOLLOUT : idle);
}

/* Drops the oldest n of the lines that were sent, or all if there are fewer. */
static void
logsink_forget_lines(struct logsink *sink, size_t n)
{
	size_t len = 0;

	for (; n > 0; n--) {
		const char *end = memchr(sink->history + len, '\n', sink->sent - len);

		if (!end)
			break;
		len = (size_t)(end + 1 - sink->history);
	}
	logsink_forget(sink, len);
}

static bool
logsink_take_line(const char *line, size_t len, void *data)
{
	struct logsink *sink = data;

	if (sink->out < 0 || len > HISTORY_MAX)
		return sink->out >= 0;
	/* The connection may have ended: the watch reports that, and the next one gets the line. */
	if (!logsink_push(sink)) {
		logsink_wait_for_room(sink, true);
		return false;
	}
	while (sink->n_history + len > HISTORY_MAX) {
		size_t before = sink->n_history;

		logsink_forget_lines(sink, 1);
		/* Not a whole line, so not from lib/log. */
		if (sink->n_history == before)
			logsink_forget(sink, before);
	}
	memcpy(sink->history + sink->n_history, line, len);
	sink->n_history += len;
	logsink_wait_for_room(sink, !logsink_push(sink));
	return true;
}

static ssize_t
logsink_write(struct logsink *sink, const char *text, size_t n)
{
	ssize_t done;

	do {
		done = sink->is_socket ? send(sink->out, text, n, MSG_NOSIGNAL | MSG_DONTWAIT)
				       : write(sink->out, text, n);
	} while (done < 0 && errno == EINTR);
	return done;
}

/* Writes what is not written yet. Returns whether all of it was written. */
static bool
logsink_push(struct logsink *sink)
{
	while (sink->sent < sink->n_history) {
		ssize_t n = logsink_write(sink, sink->history + sink->sent,
					  sink->n_history - sink->sent);

		/* A standard error that accepts nothing at all must not hold the lines. */
		if (n < 0 && !watch_may_retry(sink->out_watch, errno) && sink->listener < 0)
			n = (ssize_t)(sink->n_history - sink->sent);
		if (n <= 0)
			return false;
		sink->sent += (size_t)n;
	}
	if (sink->listener < 0)
		logsink_forget(sink, sink->n_history);
	return true;
}

static void
logsink_use_address(struct logsink *sink, const char *address)
{
	struct error err = ERROR_INIT;
	int family;

	sink->spare = eventfd(0, EFD_CLOEXEC);
	sink->listener = address_listen(address, &family, &sink->path, &err);
	if (sink->listener >= 0)
		sink->listen_watch = loop_watch(sink->loop, sink->listener, EPOLLIN,
						logsink_on_listener, sink, &err);
	if (sink->listen_watch)
		return;
	close_fd(&sink->listener);
	logsink_use_stderr(sink);
	log_warn("log", "still logging to standard error: %s", err.msg);
}

/* Gives the lines to the newest connection: usually the end of the previous one was lost. */
static void
logsink_on_listener(uint32_t events, void *data)
{
	struct logsink *sink = data;
	uint32_t port;
	int fd = address_accept(sink->listener, &sink->spare, &port);

	(void)events;
	if (fd >= 0)
		logsink_serve(sink, fd);
	else
		(void)watch_may_retry(sink->listen_watch, errno);
}

/* Reads acknowledgements, one for each newline. Returns false if the reader has disconnected. */
static bool
logsink_read_reader(struct logsink *sink)
{
	char text[4096];
	ssize_t n = recv(sink->out, text, sizeof(text), MSG_DONTWAIT);
	size_t lines = 0;

	if (n < 0)
		return watch_may_retry(sink->out_watch, errno);
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	logsink_forget_lines(sink, lines);
	return n > 0;
}

static void
logsink_on_out(uint32_t events, void *data)
{
	struct logsink *sink = data;

	if (sink->listener >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
	    !logsink_read_reader(sink)) {
		logsink_hang_up(sink);
		return;
	}
	if (logsink_push(sink) && log_flush())
		logsink_wait_for_room(sink, false);
}

static void
logsink_serve(struct logsink *sink, int fd)
{
	struct error err = ERROR_INIT;

	/* Acknowledgements of the previous reader may have arrived just now. */
	if (sink->out >= 0)
		(void)logsink_read_reader(sink);
	logsink_hang_up(sink);
	sink->out_watch =
		loop_watch(sink->loop, fd, EPOLLIN | EPOLLOUT, logsink_on_out, sink, &err);
	if (!sink->out_watch) {
		close_fd(&fd);
		return;
	}
	sink->out = fd;
	sink->is_socket = true;
}

/* Makes standard error non-blocking without changing the flags that are shared with init: terminals
 * and pipes are reopened. A regular file is always ready, and its offset must remain the shared
 * one. */
static void
logsink_use_stderr(struct logsink *sink)
{
	struct error err = ERROR_INIT;
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	sink->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		sink->out = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (sink->out < 0)
		sink->out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (sink->out >= 0 && !S_ISREG(st.st_mode))
		sink->out_watch = loop_watch(sink->loop, sink->out, 0, logsink_on_out, sink, &err);
}

struct logsink *
logsink_new(struct loop *loop, uint32_t vport, struct error *err)
{
	char address[32];

	(void)snprintf(address, sizeof(address), "vsock://-1:%u", vport);
	return logsink_new_at(loop, vport ? address : NULL, err);
}

void
logsink_free(struct logsink *sink)
{
	if (!sink)
		return;
	(void)log_flush();
	log_set_sink(NULL, NULL);
	logsink_hang_up(sink);
	loop_unwatch(sink->listen_watch);
	close_fd(&sink->listener);
	close_fd(&sink->spare);
	address_forget(sink->path);
	free(sink);
}
