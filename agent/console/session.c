/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of the debug console: moves bytes between a peer (a connection, or the serial
 * console) and the terminal of a shell. Each direction has one buffer; its source is not read until
 * that buffer is empty.
 *
 *	STARTING (a worker makes the shell) -> RUNNING -> ENDING (peer or shell is gone)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/console/console_internal.h"
#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log_event.h"
#include "lib/sys.h"
#include "lib/typed_end.h"

#define CHUNK    4096
#define START_MS 10000
/* between hanging up the terminal and killing the shell */
#define HANGUP_MS 2000
/* time for the output that is left after the shell has ended */
#define REST_MS 2000

struct pipe_buf {
	char data[CHUNK + WINDOW_HELD + 1];
	size_t n;
};

struct session {
	struct list node;
	struct console *console;
	int peer, master, pidfd;
	struct watch *peer_watch, *master_watch;
	/* NULL once the shell runs */
	struct job *job;
	/* NULL once the shell has ended */
	struct child *child;
	struct timer *timer, *eof_timer;
	struct window window;
	struct pipe_buf in, out;
	bool is_running;
	/* the peer has closed its sending side */
	bool has_eof;
	/* a shell was started and has not ended */
	bool has_shell;
	struct typed_end typed_end;
};

static int session_take_terminal(struct job *job, const struct job_message *m, void *data,
				 struct error *err);
static int session_take_process(struct job *job, pid_t pid, int pidfd, void *data,
				struct error *err);
static void session_on_started(struct job *job, const struct error *failure, void *data);
static void session_on_peer(uint32_t events, void *data);
static void session_on_master(uint32_t events, void *data);
static void session_on_silence(void *data);
static void session_update(struct session *s);
static void session_on_shell_ended(int status, bool gone, void *data);
static void session_hang_up(struct session *s);
static void session_drop_master(struct session *s);

/* ---- the start ---- */

static const struct job_message_type shell_messages[] = {
	[SHELL_MSG_TTY] = { .handler = session_take_terminal, .n_fds = 1 },
};

static const struct job_ops shell_ops = {
	.name = "debug console",
	.work = shell_work,
	.messages = shell_messages,
	.n_messages = ARRAY_LEN(shell_messages),
	.process = session_take_process,
	.done = session_on_started,
};

int
session_start(struct console *console, int fd, struct error *err)
{
	const struct roots *roots = console->spec.roots;
	const int keep[] = { roots->dev, roots->root, roots->proc };
	struct session *s = calloc(1, sizeof(*s));
	const struct job_spec spec = {
		.ops = &shell_ops,
		.arg = (void *)(uintptr_t)roots,
		.data = s,
		.keep_fds = keep,
		.n_keep_fds = ARRAY_LEN(keep),
		.deadline_ms = START_MS,
	};

	if (!s) {
		close_fd(&fd);
		return error_nomem(err, "starting a session");
	}
	*s = (struct session){ .console = console, .peer = fd, .master = -1, .pidfd = -1 };
	s->peer_watch = loop_watch(console->spec.loop, fd, 0, session_on_peer, s, err);
	if (s->peer_watch)
		s->job = job_start(console->spec.jobs, &spec, err);
	if (!s->job) {
		loop_unwatch(s->peer_watch);
		close_fd(&s->peer);
		free(s);
		return -1;
	}
	list_append(&console->sessions, &s->node);
	console->n_sessions++;
	return 0;
}

static int
session_take_terminal(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct session *s = data;

	(void)job;
	if (s->master >= 0)
		return error_set(err, ERROR_INTERNAL, "the worker sent a second terminal");
	s->master = steal_fd(&m->fds[0]);
	return fcntl(s->master, F_SETFL, O_NONBLOCK) < 0
		       ? error_sys(err, "failed to make a terminal non-blocking")
		       : 0;
}

static int
session_take_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct session *s = data;

	(void)job;
	close_fd(&s->pidfd);
	s->pidfd = pidfd;
	s->child = initlink_watch(s->console->spec.init, pid, session_on_shell_ended, s, err);
	s->has_shell = s->child != NULL;
	return s->child ? 0 : -1;
}

static void
session_print(const struct session *s, const char *text)
{
	char line[ERROR_MSG_MAX + 32];
	int n = snprintf(line, sizeof(line), "debug console: %s\r\n", text);

	if (s->peer >= 0 && n > 0)
		(void)!write(s->peer, line, strnlen(line, sizeof(line)));
}

static void
session_on_started(struct job *job, const struct error *failure, void *data)
{
	struct session *s = data;
	struct error err = *failure;

	(void)job;
	s->job = NULL;
	if (err.code == ERROR_OK && s->peer >= 0)
		s->master_watch = loop_watch(s->console->spec.loop, s->master, EPOLLIN,
					     session_on_master, s, &err);
	if (!s->master_watch) {
		if (s->peer >= 0) {
			log_warn("console", "failed to start a shell: %s", err.msg);
			session_print(s, err.msg);
		}
		session_hang_up(s);
		return;
	}
	log_event(LOG_LEVEL_INFO, "console", EVENT_SHELL_STARTED, NULL, 0, "a shell was started");
	s->is_running = true;
	memcpy(s->out.data, WINDOW_QUERY, strlen(WINDOW_QUERY));
	s->out.n = strlen(WINDOW_QUERY);
	session_update(s);
}

/* ---- from the peer to the terminal ---- */

/* Writes as much as fd takes without blocking. Returns false if fd can no longer be written to. */
static bool
session_flush(struct pipe_buf *b, int fd, struct watch *watch)
{
	ssize_t n;

	if (b->n == 0 || fd < 0)
		return true;
	n = write(fd, b->data, b->n);
	if (n < 0)
		return watch_may_retry(watch, errno);
	b->n -= (size_t)n;
	memmove(b->data, b->data + n, b->n);
	return true;
}

/* Starts the time after which Ctrl-D is typed again (lib/typed_end.h). */
static void
session_await_output(struct session *s)
{
	struct error err = ERROR_INIT;

	timer_cancel(s->eof_timer);
	s->eof_timer = loop_timer(s->console->spec.loop, s->typed_end.silence_ms,
				  session_on_silence, s, &err);
}

static void
session_on_silence(void *data)
{
	struct session *s = data;

	s->eof_timer = NULL;
	if (s->in.n == 0)
		s->in.n = typed_end_after_silence(&s->typed_end, s->in.data);
	session_await_output(s);
	if (s->master >= 0)
		session_update(s);
}

/* Passes the end of the input on to the terminal as Ctrl-D. Returns false if the peer no longer
 * reads either. */
static bool
session_end_input(struct session *s)
{
	s->has_eof = true;
	s->in.n = typed_end_begin(&s->typed_end, s->in.data);
	session_await_output(s);
	return RETRY_EINTR(send(s->peer, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT)) == 0 ||
	       errno == ENOTSOCK;
}

/* Returns false if the session must be hung up. */
static bool
session_read_peer(struct session *s)
{
	char chunk[CHUNK];
	struct winsize size;
	bool found = false;
	ssize_t n;

	if (s->in.n > 0 || s->has_eof)
		return true;
	n = read(s->peer, chunk, sizeof(chunk));
	if (n < 0)
		return watch_may_retry(s->peer_watch, errno);
	if (n == 0)
		return session_end_input(s);
	s->in.n = window_filter(&s->window, chunk, (size_t)n, s->in.data, &size, &found);
	typed_end_note_input(&s->typed_end, s->in.data, s->in.n);
	if (found)
		(void)ioctl(s->master, TIOCSWINSZ, &size);
	return true;
}

static void
session_on_peer(uint32_t events, void *data)
{
	struct session *s = data;

	/* EPOLLHUP: both directions are closed, so further output would be lost */
	if (events & (EPOLLHUP | EPOLLERR) || !session_flush(&s->out, s->peer, s->peer_watch) ||
	    !session_read_peer(s)) {
		session_hang_up(s);
		return;
	}
	(void)session_flush(&s->in, s->master, s->master_watch);
	session_update(s);
}

/* ---- from the terminal to the peer ---- */

/* Returns false at the end of the shell's output. */
static bool
session_read_master(struct session *s)
{
	ssize_t n;

	if (s->out.n > 0)
		return true;
	n = read(s->master, s->out.data, CHUNK);
	if (n < 0)
		return watch_may_retry(s->master_watch, errno);
	s->out.n = (size_t)n;
	if (s->has_eof && s->in.n == 0) {
		s->in.n = typed_end_after_output(&s->typed_end, s->out.data, s->out.n, CHUNK,
						 s->in.data);
		if (s->in.n > 0)
			session_await_output(s);
	}
	return n > 0;
}

static void
session_on_master(uint32_t events, void *data)
{
	struct session *s = data;
	bool more;

	(void)events;
	(void)session_flush(&s->in, s->master, s->master_watch);
	more = session_read_master(s);
	if (!session_flush(&s->out, s->peer, s->peer_watch)) {
		session_hang_up(s);
		return;
	}
	if (!more)
		session_drop_master(s);
	session_update(s);
}

/* ---- both directions ---- */

/* Polls for the events that can be served next. Hangs up when all output was passed on and there
 * will be no more. */
static void
session_update(struct session *s)
{
	if (s->master < 0 && s->out.n == 0) {
		session_hang_up(s);
		return;
	}
	/* EPOLLERR, so that a closed peer is noticed while neither direction is polled */
	watch_set_events(s->peer_watch, EPOLLERR | (s->in.n == 0 && !s->has_eof ? EPOLLIN : 0u) |
						(s->out.n > 0 ? EPOLLOUT : 0u));
	if (s->master_watch)
		watch_set_events(s->master_watch,
				 (s->out.n == 0 ? EPOLLIN : 0u) | (s->in.n > 0 ? EPOLLOUT : 0u));
}

static void
session_on_rest_timeout(void *data)
{
	struct session *s = data;

	s->timer = NULL;
	session_free(s);
}

static void
session_on_shell_ended(int status, bool gone, void *data)
{
	struct session *s = data;
	struct error err = ERROR_INIT;

	(void)gone;
	log_info("console", "a shell exited (wait status %d)", status);
	s->child = NULL;
	s->has_shell = false;
	if (s->job)
		/* it fails now */
		return;
	if (!s->is_running) {
		session_free(s);
		return;
	}
	/* The terminal's end of file follows the last output, unless another process keeps the
	 * terminal open. */
	s->timer = loop_timer(s->console->spec.loop, REST_MS, session_on_rest_timeout, s, &err);
	if (!s->timer)
		session_free(s);
}

/* ---- the end ---- */

static void
session_kill_shell(void *data)
{
	struct session *s = data;

	s->timer = NULL;
	if (s->pidfd >= 0)
		(void)sys_pidfd_send_signal(s->pidfd, SIGKILL);
}

/* Ends the session: hangs up the shell's terminal, and kills the shell if it has not ended after
 * HANGUP_MS. The session is freed when the shell has ended. */
static void
session_hang_up(struct session *s)
{
	struct error err = ERROR_INIT;

	loop_unwatch(s->peer_watch);
	s->peer_watch = NULL;
	close_fd(&s->peer);
	session_drop_master(s);
	timer_cancel(s->eof_timer);
	s->eof_timer = NULL;
	s->is_running = false;
	if (s->job) {
		job_cancel(s->job, ERROR_CANCELLED, "the console was hung up");
		return;
	}
	if (!s->has_shell) {
		session_free(s);
		return;
	}
	timer_cancel(s->timer);
	s->timer = loop_timer(s->console->spec.loop, HANGUP_MS, session_kill_shell, s, &err);
	if (!s->timer)
		session_kill_shell(s);
}

static void
session_drop_master(struct session *s)
{
	loop_unwatch(s->master_watch);
	s->master_watch = NULL;
	close_fd(&s->master);
}

void
session_free(struct session *s)
{
	struct console *console = s->console;

	timer_cancel(s->timer);
	timer_cancel(s->eof_timer);
	loop_unwatch(s->peer_watch);
	loop_unwatch(s->master_watch);
	child_unwatch(s->child);
	if (s->has_shell && s->pidfd >= 0)
		(void)sys_pidfd_send_signal(s->pidfd, SIGKILL);
	close_fd(&s->peer);
	close_fd(&s->master);
	close_fd(&s->pidfd);
	list_remove(&s->node);
	free(s);
	console->session_gone(console);
}

struct session *
session_of_node(struct list *node)
{
	return list_entry(node, struct session, node);
}
