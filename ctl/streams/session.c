/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays stdio, signals and window size between the local terminal and a process in a container.
 *
 *	source of output                         where it goes
 *	ReadStdout, ReadStderr --+-- sink ------ local stdout, stderr
 *	frames of the monitor ---+    |
 *	                              +--------- outlet: log and attached clients
 */
#include "ctl/streams/session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/streams/outlet.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/ttrpc/client.h"

#define CHUNK (128u << 10)
/* Time for a process to end by the first signal, as a shell leaves it. */
#define KILL_AFTER_MS 5000
/* A terminal that is writable takes as much without blocking, or nearly. */
#define TERMINAL_UNIT 256
/* After this many interrupts the session ends without waiting for the guest. */
#define INTERRUPTS_MAX 3
/* A frame, and what was read together with it. */
#define FEED_MAX (OUTLET_PAYLOAD_MAX + 2 * CHUNK)

/* The byte that the user of a terminal types at the end of input (Ctrl-D). */
#define END_OF_INPUT 4

/* One of the process's output streams. */
struct sink {
	struct relay *r;
	/* the local end */
	int fd;
	bool from_stderr;
	/* nothing more comes from the process */
	bool ended;
	/* the local reader has gone: what comes is dropped */
	bool is_closed;
	/* bytes that one write(2) may take without blocking when fd is writable */
	size_t unit;
	/* the call that reads from the process, 0: none */
	uint32_t call;
	/* the next call waits for the outlet's clients */
	bool is_held;
	/* output that is being written, how much of it was, and the reply that it is part of: NULL
	 * if it comes from the monitor */
	const uint8_t *data;
	size_t n_data, written;
	Grpc__ReadStreamResponse *reply;
};

struct relay {
	struct session *s;
	struct sink out, err;
	bool exited;
	/* the pending calls of WriteStdin, TtyWinResize and WaitProcess, 0: none */
	uint32_t write_call, window_call, wait_call;
	bool in_ended;
	/* the last byte of input does not end a line */
	bool is_in_line;
	int status;
	unsigned int interrupts;
	uint64_t kill_at_ns;
	/* first error of the session, code OK if none */
	struct error failure;
	struct termios saved;
	bool raw;
	/* output from the monitor: frames, the first of which may be being written */
	struct buf feed;
	/* bytes of the detach keys that were typed and held back */
	size_t n_keys;
	/* input that the process has not taken */
	size_t chunk_start, chunk_end;
	unsigned char chunk[CHUNK + SESSION_KEYS_MAX];
};

static void session_make_raw(struct relay *r);
static void session_loop(struct relay *r, int sigfd);
static void session_forget_calls(struct relay *r);
static void session_go_on(struct sink *k);
static void session_start_read(struct sink *k);
static void session_write_out(struct sink *k);
static void session_read_feed(struct relay *r);
static void session_next_frame(struct relay *r);
static void session_read_input(struct relay *r);
static void session_send_input(struct relay *r);
static void session_on_written(void *data, ProtobufCMessage *reply, const struct error *failure);
static void session_end_input(struct relay *r);
static size_t session_pass_keys(struct relay *r, const unsigned char *typed, size_t n);
static void session_on_signal(struct relay *r, int fd);
static void session_send_signal(struct relay *r, int sig, bool all);
static void session_on_window(void *data, ProtobufCMessage *reply, const struct error *failure);
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

/* Starts a call. `data` outlives it, or the call is forgotten before. */
static uint32_t
session_call(struct relay *r, const char *method, const ProtobufCMessage *request,
	     ttrpc_reply_fn *fn, void *data)
{
	struct error err = ERROR_INIT;
	uint32_t id = ttrpc_client_start(r->s->client, &grpc__agent_service__descriptor, method,
					 request, 0, fn, data, &err);

	/* An attached session ends with what the monitor says. */
	if (!id && r->s->feed_fd > 0)
		r->in_ended = true;
	else if (!id)
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

static void
session_init_sink(struct relay *r, struct sink *k, int fd, bool from_stderr)
{
	struct stat st;

	*k = (struct sink){ .r = r, .fd = fd, .from_stderr = from_stderr, .unit = PIPE_BUF };
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		k->unit = SIZE_MAX;
	else if (isatty(fd))
		k->unit = TERMINAL_UNIT;
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
	s->is_detached = false;
	buf_init(&r->feed, FEED_MAX);
	session_init_sink(r, &r->out, s->out, false);
	session_init_sink(r, &r->err, s->err, true);
	/* A terminal merges stdout and stderr. */
	r->err.ended = s->terminal;
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
	if (s->feed_fd <= 0) {
		session_start_read(&r->out);
		if (!s->terminal)
			session_start_read(&r->err);
	}
	session_send_window(r);
	if (s->in < 0)
		session_end_input(r);
	session_loop(r, sigfd);
	session_forget_calls(r);
	buf_release(&r->feed);
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

static bool
session_is_over(const struct relay *r)
{
	return r->failure.code != ERROR_OK || r->s->is_detached ||
	       (r->exited && r->out.ended && r->err.ended);
}

static void
session_loop(struct relay *r, int sigfd)
{
	enum { CLIENT, SIGNALS, INPUT, VM, STOP, OUT, ERR, FEED, OUTLET, N };
	struct pollfd p[N] = {
		[CLIENT] = { .fd = ttrpc_client_fd(r->s->client) },
		[SIGNALS] = { .fd = sigfd, .events = POLLIN },
		[INPUT] = { .fd = -1, .events = POLLIN },
		[VM] = { .fd = r->s->vm_pidfd, .events = POLLIN },
		[STOP] = { .fd = r->s->stop_fd, .events = POLLIN },
		[OUT] = { .fd = -1, .events = POLLOUT },
		[ERR] = { .fd = -1, .events = POLLOUT },
		[FEED] = { .fd = -1, .events = POLLIN },
		[OUTLET] = { .fd = -1, .events = POLLIN },
	};

	if (r->s->outlet)
		p[OUTLET].fd = outlets_fd(outlet_owner(r->s->outlet));

	while (!session_is_over(r)) {
		struct error err = ERROR_INIT;

		/* Some agents drop the output that was not read when they report the exit code. */
		if (r->s->feed_fd <= 0 && r->out.ended && r->err.ended && !r->exited &&
		    !r->wait_call)
			session_start_wait(r);
		session_go_on(&r->out);
		session_go_on(&r->err);
		p[CLIENT].events = ttrpc_client_events(r->s->client);
		/* Input waits for the size of the window: agents may serve two calls at once. */
		p[INPUT].fd = r->in_ended || r->write_call || r->window_call ? -1 : r->s->in;
		p[OUT].fd = r->out.data ? r->out.fd : -1;
		p[ERR].fd = r->err.data ? r->err.fd : -1;
		p[FEED].fd = r->s->feed_fd > 0 && !r->out.data && !r->err.data ? r->s->feed_fd : -1;
		if (poll(p, N, r->kill_at_ns ? deadline_left_ms(r->kill_at_ns) : -1) < 0) {
			if (errno == EINTR)
				continue;
			error_sys(&err, "failed to wait for input and output");
			session_fail(r, &err, "session ended");
			return;
		}
		if (p[SIGNALS].revents)
			session_on_signal(r, sigfd);
		if (p[INPUT].fd >= 0 && p[INPUT].revents)
			session_read_input(r);
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
		if (p[CLIENT].revents && ttrpc_client_handle(r->s->client, &err) < 0) {
			p[CLIENT].fd = -1;
			r->in_ended = true;
			if (r->s->feed_fd <= 0)
				session_fail(r, &err, "connection to the agent failed");
		}
		if (p[OUT].fd >= 0 && p[OUT].revents)
			session_write_out(&r->out);
		if (p[ERR].fd >= 0 && p[ERR].revents)
			session_write_out(&r->err);
		if (p[FEED].fd >= 0 && p[FEED].revents)
			session_read_feed(r);
		if (p[OUTLET].revents)
			outlets_handle(outlet_owner(r->s->outlet));
		if (p[VM].fd >= 0 && p[VM].revents) {
			error_set(&err, ERROR_UNAVAILABLE, "the VM has ended");
			session_fail(r, &err, "session ended");
		}
	}
}

/* Drops the calls whose replies would be written to `r`. */
static void
session_forget_calls(struct relay *r)
{
	const uint32_t calls[] = { r->out.call, r->err.call, r->write_call, r->window_call,
				   r->wait_call };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (calls[i])
			ttrpc_client_forget(r->s->client, calls[i]);
	if (r->out.reply)
		protobuf_c_message_free_unpacked(&r->out.reply->base, NULL);
	if (r->err.reply)
		protobuf_c_message_free_unpacked(&r->err.reply->base, NULL);
}

/* ---- output ---- */

static void
session_on_read(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct sink *k = data;
	struct relay *r = k->r;
	Grpc__ReadStreamResponse *read = (Grpc__ReadStreamResponse *)reply;

	k->call = 0;
	if (read && read->data.len > 0 && !r->s->first_byte_ns)
		r->s->first_byte_ns = monotonic_ns();
	if (!read || read->data.len == 0) {
		/* A failed read ends the stream, as in the Kata runtimes. */
		if (failure && ttrpc_client_is_broken(r->s->client))
			session_fail(r, failure, "failed to read the container's output");
		k->ended = true;
	} else if (r->s->outlet) {
		outlet_write(r->s->outlet, k->from_stderr, read->data.data, read->data.len);
		k->is_held = true;
		session_go_on(k);
	} else if (!k->is_closed) {
		/* Written once the loop finds the local end writable. */
		k->reply = read;
		k->data = read->data.data;
		k->n_data = read->data.len;
		k->written = 0;
		return;
	} else {
		session_start_read(k);
	}
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

/* Reads on, once the outlet's clients have read enough. */
static void
session_go_on(struct sink *k)
{
	if (!k->is_held || outlet_is_full(k->r->s->outlet))
		return;
	k->is_held = false;
	session_start_read(k);
}

static void
session_start_read(struct sink *k)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = (char *)(uintptr_t)k->r->s->container_id;
	q.exec_id = (char *)(uintptr_t)k->r->s->exec_id;
	q.len = CHUNK;
	k->call = session_call(k->r, k->from_stderr ? "ReadStderr" : "ReadStdout", &q.base,
			       session_on_read, k);
}

/* A process that wrote to the pipe itself would get SIGPIPE; one that does not end by it is
 * killed. */
static void
session_reader_gone(struct sink *k)
{
	k->is_closed = true;
	if (k->r->s->feed_fd > 0) {
		/* The container has other readers. */
		k->r->exited = k->r->out.ended = k->r->err.ended = true;
		k->r->status = 128 + SIGPIPE;
		return;
	}
	if (k->r->exited)
		return;
	session_send_signal(k->r, SIGPIPE, false);
	if (!k->r->kill_at_ns)
		k->r->kill_at_ns = deadline_in(KILL_AFTER_MS);
}

/* Writes as much as the local end takes without blocking, so that a reader that does not read
 * never keeps signals from being handled. */
static void
session_write_out(struct sink *k)
{
	struct pollfd p = { .fd = k->fd, .events = POLLOUT };

	if (!k->data)
		return;
	do {
		size_t left = k->n_data - k->written;
		ssize_t n = write(k->fd, k->data + k->written, left < k->unit ? left : k->unit);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0 && errno == EPIPE) {
			session_reader_gone(k);
			break;
		}
		if (n < 0) {
			struct error err = ERROR_INIT;

			error_sys(&err, "failed to write the container's output");
			session_fail(k->r, &err, "session ended");
			return;
		}
		k->written += (size_t)n;
		if (k->written == k->n_data)
			break;
	} while (poll(&p, 1, 0) > 0);
	if (k->written < k->n_data && !k->is_closed)
		return;
	k->data = NULL;
	if (!k->reply) {
		buf_consume(&k->r->feed, sizeof(struct outlet_frame) + k->n_data);
		session_next_frame(k->r);
		return;
	}
	protobuf_c_message_free_unpacked(&k->reply->base, NULL);
	k->reply = NULL;
	session_start_read(k);
}

/* ---- output from the monitor ---- */

static void
session_read_feed(struct relay *r)
{
	uint8_t *room = buf_reserve(&r->feed, CHUNK);
	struct error err = ERROR_INIT;
	ssize_t n = room ? read(r->s->feed_fd, room, CHUNK) : -1;

	if (n < 0 && room && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		error_set(&err, ERROR_UNAVAILABLE, "the connection to the VM's monitor was closed");
		session_fail(r, &err, "session ended");
		return;
	}
	buf_commit(&r->feed, (size_t)n);
	session_next_frame(r);
}

/* Begins to write the next frame, if it has arrived as a whole. */
static void
session_next_frame(struct relay *r)
{
	struct outlet_frame head;
	struct error err = ERROR_INIT;
	const uint8_t *payload;
	int32_t code;

	if (r->exited || buf_len(&r->feed) < sizeof(head))
		return;
	memcpy(&head, buf_head(&r->feed), sizeof(head));
	if (head.len > OUTLET_PAYLOAD_MAX) {
		error_set(&err, ERROR_INTERNAL, "invalid frame from the VM's monitor");
		session_fail(r, &err, "session ended");
		return;
	}
	if (buf_len(&r->feed) < sizeof(head) + head.len)
		return;
	payload = buf_head(&r->feed) + sizeof(head);
	if (head.kind == OUTLET_OUT || head.kind == OUTLET_ERR) {
		struct sink *k = head.kind == OUTLET_OUT ? &r->out : &r->err;

		k->data = payload;
		k->n_data = head.len;
		k->written = 0;
		return;
	}
	if (head.kind == OUTLET_ENDED && head.len == sizeof(code)) {
		memcpy(&code, payload, sizeof(code));
		r->status = code;
		r->exited = r->out.ended = r->err.ended = true;
		return;
	}
	error_set(&err, ERROR_UNAVAILABLE, "%.*s", (int)head.len, (const char *)payload);
	session_fail(r, &err, "session ended");
}

/* ---- input ---- */

static void
session_read_input(struct relay *r)
{
	unsigned char typed[CHUNK];
	ssize_t n = read(r->s->in, typed, sizeof(typed));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		session_end_input(r);
		return;
	}
	r->chunk_start = 0;
	r->chunk_end = session_pass_keys(r, typed, (size_t)n);
	if (r->chunk_end == 0)
		return;
	r->is_in_line = r->chunk[r->chunk_end - 1] != '\n' && r->chunk[r->chunk_end - 1] != '\r';
	session_send_input(r);
}

/* Copies input to the chunk, but for the detach keys: a part of them is held back until it is clear
 * that it is one. Returns the number of bytes in the chunk. */
static size_t
session_pass_keys(struct relay *r, const unsigned char *typed, size_t n)
{
	const struct session_keys *keys = &r->s->detach;
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		while (r->n_keys > 0 && typed[i] != keys->bytes[r->n_keys]) {
			/* The longest end of what was held back that begins the keys again. */
			size_t kept = r->n_keys - 1;

			while (kept > 0 &&
			       memcmp(keys->bytes, keys->bytes + r->n_keys - kept, kept) != 0)
				kept--;
			memcpy(r->chunk + out, keys->bytes, r->n_keys - kept);
			out += r->n_keys - kept;
			r->n_keys = kept;
		}
		if (keys->n == 0 || typed[i] != keys->bytes[r->n_keys]) {
			r->chunk[out++] = typed[i];
		} else if (++r->n_keys == keys->n) {
			r->s->is_detached = true;
			break;
		}
	}
	return out;
}

int
session_parse_keys(const char *text, struct session_keys *out, struct error *err)
{
	*out = (struct session_keys){ .n = 0 };
	while (*text) {
		size_t n = strcspn(text, ",");
		const char *name = text;
		int c = -1;

		if (n == 1)
			c = (unsigned char)*name;
		else if (n == 6 && strncmp(name, "ctrl-", 5) == 0 &&
			 ((name[5] >= 'a' && name[5] <= 'z') ||
			  (name[5] && strchr("@[\\]^_", name[5]))))
			/* The byte that a terminal sends. */
			c = name[5] & 0x1f;
		if (c < 0 || out->n == SESSION_KEYS_MAX)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"--detach-keys: expected at most %d keys, each a character "
				"or ctrl-LETTER, with commas between them",
				SESSION_KEYS_MAX);
		out->bytes[out->n++] = (unsigned char)c;
		text += n;
		text += *text == ',';
	}
	return 0;
}

static void
session_send_input(struct relay *r)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;

	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	q.data.data = r->chunk + r->chunk_start;
	q.data.len = r->chunk_end - r->chunk_start;
	r->write_call = session_call(r, "WriteStdin", &q.base, session_on_written, r);
}

static void
session_on_written(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct relay *r = data;

	r->write_call = 0;
	if (failure) {
		/* The process has closed its stdin: discard the remaining input. */
		r->in_ended = true;
		return;
	}
	r->chunk_start += ((Grpc__WriteStreamResponse *)reply)->len;
	/* Some agents do not tell how much they wrote: all of it. */
	if (((Grpc__WriteStreamResponse *)reply)->len > 0 && r->chunk_start < r->chunk_end)
		session_send_input(r);
	protobuf_c_message_free_unpacked(reply, NULL);
}

/* Ends the process's input. Of a terminal, closing the guest's end would lose output as well. */
static void
session_end_input(struct relay *r)
{
	Grpc__CloseStdinRequest q = GRPC__CLOSE_STDIN_REQUEST__INIT;

	if (r->in_ended)
		return;
	r->in_ended = true;
	if (r->s->keeps_stdin)
		return;
	if (r->s->terminal) {
		/* In the middle of a line the first one only passes on what was typed. */
		r->chunk_start = 0;
		r->chunk_end = r->is_in_line ? 2 : 1;
		memset(r->chunk, END_OF_INPUT, r->chunk_end);
		session_send_input(r);
		return;
	}
	q.container_id = (char *)(uintptr_t)r->s->container_id;
	q.exec_id = (char *)(uintptr_t)r->s->exec_id;
	(void)session_call(r, "CloseStdin", &q.base, session_ignore_reply, NULL);
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
	if (r->s->feed_fd > 0 &&
	    (r->s->keeps_signals || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP)) {
		struct error err = ERROR_INIT;

		error_set(&err, ERROR_CANCELLED, "detached by signal %u", info.ssi_signo);
		session_fail(r, &err, "session ended");
		return;
	}
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
	(void)session_call(r, "SignalProcess", &q.base, session_ignore_reply, NULL);
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
	/* The last one counts. */
	if (r->window_call)
		ttrpc_client_forget(r->s->client, r->window_call);
	r->window_call = session_call(r, "TtyWinResize", &q.base, session_on_window, r);
}

static void
session_on_window(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct relay *r = data;

	r->window_call = 0;
	session_ignore_reply(NULL, reply, failure);
}

/* ---- the end ---- */

static void
session_on_exit_status(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct relay *r = data;

	r->wait_call = 0;
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
	r->wait_call = session_call(r, "WaitProcess", &q.base, session_on_exit_status, r);
}
