/* SPDX-License-Identifier: Apache-2.0 */
/* Relays stdio, signals and window size between the local terminal and a process in a container. */
#include "ctl/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/ttrpc/client.h"

#define CHUNK         (128u << 10)
#define KILL_AFTER_MS 5000
/* After this many interrupts the session ends without waiting for the guest. */
#define INTERRUPTS_MAX 3

struct relay {
	struct session *s;
	bool out_ended, err_ended, exited;
	/* a WriteStdin call is pending */
	bool writing;
	bool in_ended;
	int status;
	unsigned int interrupts;
	uint64_t kill_at_ns;
	/* first error of the session, code OK if none */
	struct error failure;
	struct termios saved;
	bool raw;
	unsigned char chunk[CHUNK];
};

static void session_make_raw(struct relay *r);
static void session_loop(struct relay *r, int sigfd);
static void session_start_read(struct relay *r, bool from_stderr);
static void session_on_input(struct relay *r);
static void session_on_written(void *data, ProtobufCMessage *reply, const struct error *failure);
static void session_close_stdin(struct relay *r);
static void session_on_signal(struct relay *r, int fd);
static void session_send_signal(struct relay *r, int sig, bool all);
static void session_send_window(struct relay *r);
static void session_start_wait(struct relay *r);

/* Ends the session with an error unless it already has one. */
static void
session_fail(struct relay *r, const struct error *why, const char *doing)
{
	if (r->failure.code != ERROR_OK)
		return;
	r->failure = *why;
	error_wrap(&r->failure, "%s", doing);
}

static uint32_t
session_call(struct relay *r, const char *method, const ProtobufCMessage *request,
	     ttrpc_reply_fn *fn)
{
	struct error err = ERROR_INIT;
	uint32_t id = ttrpc_client_start(r->s->client, &grpc__agent_service__descriptor, method,
					 request, 0, fn, r, &err);

	if (!id)
		session_fail(r, &err, method);
	return id;
}

static void
session_ignore_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

int
session_run(struct session *s, struct error *err)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH
	};
	auto_free struct relay *r = calloc(1, sizeof(*r));
	sigset_t set, saved;
	auto_close int sigfd = -1;

	if (!r)
		return error_nomem(err, "relaying stdio");
	r->s = s;
	/* A terminal merges stdout and stderr. */
	r->err_ended = s->terminal;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &saved);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd < 0) {
		(void)sigprocmask(SIG_SETMASK, &saved, NULL);
		return error_sys(err, "failed to create a signalfd");
	}
	session_make_raw(r);
	session_start_read(r, false);
	if (!s->terminal)
		session_start_read(r, true);
	session_start_wait(r);
	session_send_window(r);
	if (s->in < 0)
		session_close_stdin(r);
	session_loop(r, sigfd);
	if (r->raw)
		(void)tcsetattr(s->in, TCSANOW, &r->saved);
	(void)sigprocmask(SIG_SETMASK, &saved, NULL);
	if (r->failure.code != ERROR_OK) {
		*err = r->failure;
		return -1;
	}
	return r->status;
}

static void
session_make_raw(struct relay *r)
{
	struct termios t;

	if (!r->s->terminal || r->s->in < 0 || tcgetattr(r->s->in, &r->saved) < 0)
		return;
	t = r->saved;
	cfmakeraw(&t);
	r->raw = tcsetattr(r->s->in, TCSANOW, &t) == 0;
}

static void
session_loop(struct relay *r, int sigfd)
{
	enum { CLIENT, SIGNALS, INPUT, VM, STOP, N };
	struct pollfd p[N] = {
		[CLIENT] = { .fd = ttrpc_client_fd(r->s->client) },
		[SIGNALS] = { .fd = sigfd, .events = POLLIN },
		[INPUT] = { .fd = -1, .events = POLLIN },
		[VM] = { .fd = r->s->vm_pidfd, .events = POLLIN },
		[STOP] = { .fd = r->s->stop_fd, .events = POLLIN },
	};

	while (r->failure.code == ERROR_OK && !(r->exited && r->out_ended && r->err_ended)) {
		struct error err = ERROR_INIT;

		p[CLIENT].events = ttrpc_client_events(r->s->client);
		p[INPUT].fd = r->in_ended || r->writing ? -1 : r->s->in;
		if (poll(p, N, r->kill_at_ns ? deadline_left_ms(r->kill_at_ns) : -1) < 0 &&
		    errno != EINTR) {
			error_sys(&err, "failed to wait for input and output");
			session_fail(r, &err, "session ended");
			return;
		}
		if (p[SIGNALS].revents)
			session_on_signal(r, sigfd);
		if (p[INPUT].fd >= 0 && p[INPUT].revents)
			session_on_input(r);
		if (p[STOP].fd >= 0 && p[STOP].revents) {
			p[STOP].fd = -1;
			session_send_signal(r, r->s->stop_signal ? r->s->stop_signal : SIGTERM,
					    false);
			r->kill_at_ns = deadline_in(KILL_AFTER_MS);
		}
		if (r->kill_at_ns && deadline_is_over(r->kill_at_ns)) {
			r->kill_at_ns = 0;
			session_send_signal(r, SIGKILL, true);
		}
		if (p[CLIENT].revents && ttrpc_client_handle(r->s->client, &err) < 0)
			session_fail(r, &err, "connection to the agent failed");
		if (p[VM].fd >= 0 && p[VM].revents && !r->exited) {
			error_set(&err, ERROR_UNAVAILABLE, "the VM has ended");
			session_fail(r, &err, "session ended");
		}
	}
}

/* ---- output ---- */

static void
session_on_read(struct relay *r, ProtobufCMessage *reply, const struct error *failure,
		bool from_stderr)
{
	Grpc__ReadStreamResponse *data = (Grpc__ReadStreamResponse *)reply;
	bool *ended = from_stderr ? &r->err_ended : &r->out_ended;

	if (!data || data->data.len == 0) {
		/* A failed read ends the stream, as in the Kata runtimes. */
		if (failure && ttrpc_client_is_broken(r->s->client))
			session_fail(r, failure, "failed to read the container's output");
		*ended = true;
	} else {
		if (!r->s->first_byte_ns)
			r->s->first_byte_ns = monotonic_ns();
		if (write_full(from_stderr ? r->s->err : r->s->out, data->data.data,
			       data->data.len) < 0) {
			struct error err = ERROR_INIT;

			error_sys(&err, "failed to write the container's output");
			session_fail(r, &err, "session ended");
		}
		session_start_read(r, from_stderr);
	}
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
session_on_stdout(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	session_on_read(data, reply, failure, false);
}

static void
session_on_stderr(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	session_on_read(data, reply, failure, true);
}

static void
session_start_read(struct relay *r, bool from_stderr)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	q.len = CHUNK;
	(void)session_call(r, from_stderr ? "ReadStderr" : "ReadStdout", &q.base,
			   from_stderr ? session_on_stderr : session_on_stdout);
}

/* ---- input ---- */

static void
session_on_input(struct relay *r)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	ssize_t n = read(r->s->in, r->chunk, sizeof(r->chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		session_close_stdin(r);
		return;
	}
	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	q.data.data = r->chunk;
	q.data.len = (size_t)n;
	r->writing = session_call(r, "WriteStdin", &q.base, session_on_written) != 0;
}

static void
session_on_written(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct relay *r = data;

	r->writing = false;
	/* The process has closed its stdin: discard the remaining input. */
	if (failure && failure->code != ERROR_OK)
		r->in_ended = true;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
session_close_stdin(struct relay *r)
{
	Grpc__CloseStdinRequest q = GRPC__CLOSE_STDIN_REQUEST__INIT;

	if (r->in_ended)
		return;
	r->in_ended = true;
	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	(void)session_call(r, "CloseStdin", &q.base, session_ignore_reply);
}

/* ---- signals and window ---- */

static void
session_on_signal(struct relay *r, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		session_send_window(r);
		return;
	}
	if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
		r->interrupts++;
	if (r->interrupts >= INTERRUPTS_MAX) {
		struct error err = ERROR_INIT;

		error_set(&err, ERROR_CANCELLED, "interrupted %d times", INTERRUPTS_MAX);
		session_fail(r, &err, "failed to wait for the process");
		return;
	}
	session_send_signal(r, (int)info.ssi_signo, false);
}

static void
session_send_signal(struct relay *r, int sig, bool all)
{
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = all ? (char *)(uintptr_t) "" : (char *)(uintptr_t)r->s->exec_id;
	q.signal = (uint32_t)sig;
	(void)session_call(r, "SignalProcess", &q.base, session_ignore_reply);
}

static void
session_send_window(struct relay *r)
{
	Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
	struct winsize ws;

	if (!r->s->terminal ||
	    ioctl(r->s->in >= 0 ? r->s->in : STDIN_FILENO, TIOCGWINSZ, &ws) < 0 || !ws.ws_row ||
	    !ws.ws_col)
		return;
	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	q.row = ws.ws_row;
	q.column = ws.ws_col;
	(void)session_call(r, "TtyWinResize", &q.base, session_ignore_reply);
}

/* ---- the end ---- */

static void
session_on_exit_status(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct relay *r = data;

	r->s->exit_ns = monotonic_ns();
	if (!reply) {
		session_fail(r, failure, "failed to wait for the process");
		return;
	}
	r->exited = true;
	r->status = ((Grpc__WaitProcessResponse *)reply)->status;
	protobuf_c_message_free_unpacked(reply, NULL);
}

static void
session_start_wait(struct relay *r)
{
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;

	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	(void)session_call(r, "WaitProcess", &q.base, session_on_exit_status);
}
