/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl shell: the agent's debug console, a shell in the guest and outside of containers. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/ttrpc/address.h"
#include "lib/typed_end.h"

#define CHUNK      4096
#define REPORT_MAX 40
/* The agent's question for the size of the window, which is answered here: not each terminal does,
 * and a file would keep it. */
#define WINDOW_QUERY "\033[18t"
/* Ctrl-], which ends the session of a guest that does not answer */
#define END_KEY 0x1d

static const char usage[] =
	"usage: tatamictl shell [--port PORT] [--timeout SECONDS] NAME\n"
	"Connects to the debug console of the agent in VM NAME: a shell in the guest, outside of\n"
	"all containers. The VM was booted with --debug-console. Ctrl-] ends the session.\n"
	"\n"
	"  --port PORT        vsock port of the debug console (default 1026)\n"
	"  --timeout SECONDS  time for the connection (default 60)\n"
	"  -h, --help         print this\n";

struct shell {
	const char *vm;
	uint32_t port;
	int timeout_ms;
	/* the connection */
	int fd;
	bool is_terminal, in_ended;
	struct termios saved;
	/* Keys and reports that the connection has not taken yet. Input is read when there are
	 * none, so that all but a chunk of it is for what comes in between. */
	char out[CHUNK + REPORT_MAX + TYPED_END_KEYS];
	size_t n_out;
	/* the size of the window is to be sent */
	bool is_resized;
	struct typed_end typed_end;
	/* bytes of WINDOW_QUERY that have been read */
	size_t query;
};

static int shell_connect(struct shell *s, struct error *err);
static int shell_relay(struct shell *s, int signals, struct error *err);
static void shell_read_input(struct shell *s, bool *is_over);
static int shell_read_output(struct shell *s, bool *is_over, struct error *err);
static void shell_report_window(struct shell *s);
static int shell_flush(struct shell *s, struct error *err);

int
cmd_shell(int argc, char **argv)
{
	struct shell s = { .port = DEBUG_CONSOLE_PORT,
			   .timeout_ms = CALL_TIMEOUT_S * 1000,
			   .fd = -1 };
	const struct command_option options[] = {
		{ "port", .number = &s.port },
		{ "timeout", .timeout_ms = &s.timeout_ms },
	};
	const struct command_line line = {
		.usage = usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 1,
	};
	auto_close int signals = -1;
	struct error err = ERROR_INIT;
	struct termios raw;
	sigset_t set;
	int r, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	s.vm = argv[first];
	(void)signal(SIGPIPE, SIG_IGN);
	r = shell_connect(&s, &err);
	if (r == 0) {
		(void)sigemptyset(&set);
		(void)sigaddset(&set, SIGINT);
		(void)sigaddset(&set, SIGTERM);
		(void)sigaddset(&set, SIGHUP);
		(void)sigaddset(&set, SIGWINCH);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
		s.is_terminal = tcgetattr(STDIN_FILENO, &s.saved) == 0;
		if (s.is_terminal) {
			raw = s.saved;
			cfmakeraw(&raw);
			(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
		}
		r = signals < 0 ? error_sys(&err, "failed to create a signalfd")
				: shell_relay(&s, signals, &err);
		if (s.is_terminal)
			(void)tcsetattr(STDIN_FILENO, TCSANOW, &s.saved);
	}
	close_fd(&s.fd);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "tatamictl shell: %s\n", err.msg);
	return exit_code_of(&err);
}

/* Connects to the port of the debug console, next to that of the agent. */
static int
shell_connect(struct shell *s, struct error *err)
{
	struct vm_state state;
	struct address address;
	char text[sizeof(state.address) + 16], *colon;

	if (state_read_alive(s->vm, &state, err) < 0)
		return -1;
	colon = strrchr(state.address, ':');
	if (colon)
		*colon = '\0';
	(void)snprintf(text, sizeof(text), "%s:%u", state.address, s->port);
	if (address_parse(text, &address, err) < 0)
		return -1;
	s->fd = address_connect(&address, s->timeout_ms, err);
	if (s->fd >= 0)
		return 0;
	return error_wrap(err,
			  "no debug console answers at port %u of VM %s (it is offered after "
			  "`boot --debug-console`)",
			  s->port, s->vm);
}

static int
shell_relay(struct shell *s, int signals, struct error *err)
{
	enum { PEER, INPUT, SIGNALS, N };
	struct pollfd p[N] = { [PEER] = { .fd = s->fd, .events = POLLIN },
			       [INPUT] = { .fd = STDIN_FILENO, .events = POLLIN },
			       [SIGNALS] = { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	bool is_over = false;

	s->is_resized = true;
	while (!is_over) {
		int n;

		shell_report_window(s);
		if (shell_flush(s, err) < 0)
			return -1;
		p[PEER].events = s->n_out > 0 ? POLLIN | POLLOUT : POLLIN;
		p[INPUT].fd = s->in_ended || s->n_out > 0 ? -1 : STDIN_FILENO;
		n = poll(p, N, s->in_ended ? s->typed_end.silence_ms : -1);
		if (n < 0 && errno != EINTR)
			return error_sys(err, "failed to wait for input and output");
		if (n == 0 && s->n_out == 0)
			s->n_out = typed_end_after_silence(&s->typed_end, s->out);
		if (n > 0 && p[PEER].revents & ~POLLOUT && shell_read_output(s, &is_over, err) < 0)
			return -1;
		if (n > 0 && !is_over && p[INPUT].fd >= 0 && p[INPUT].revents)
			shell_read_input(s, &is_over);
		if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo != SIGWINCH)
			return error_set(err, ERROR_CANCELLED, "interrupted");
		s->is_resized = true;
	}
	/* The rest of the input before the key that ends the session. */
	return shell_flush(s, err);
}

static void
shell_report_window(struct shell *s)
{
	struct winsize ws;

	if (!s->is_resized || sizeof(s->out) - s->n_out < REPORT_MAX)
		return;
	s->is_resized = false;
	if (!s->is_terminal || ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0 || !ws.ws_row || !ws.ws_col)
		return;
	s->n_out += (size_t)snprintf(s->out + s->n_out, REPORT_MAX, "\033[8;%u;%ut", ws.ws_row,
				     ws.ws_col);
}

/* Sends what the connection takes. */
static int
shell_flush(struct shell *s, struct error *err)
{
	ssize_t n;

	if (s->n_out == 0)
		return 0;
	n = send(s->fd, s->out, s->n_out, MSG_NOSIGNAL);
	if (n < 0 && io_is_for_now(errno))
		return 0;
	/* The last output of the shell is still to be read. */
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		n = (ssize_t)s->n_out;
	if (n < 0)
		return error_sys(err, "failed to write to the debug console");
	s->n_out -= (size_t)n;
	memmove(s->out, s->out + n, s->n_out);
	return 0;
}

/* Reads input, or its end. vhost-device-vsock 0.3.0 closes a connection that is shut down in one
 * direction, so the end is typed here. */
static void
shell_read_input(struct shell *s, bool *is_over)
{
	ssize_t n = read(STDIN_FILENO, s->out, CHUNK);
	char *end;

	if (n < 0 && io_is_for_now(errno))
		return;
	if (n <= 0) {
		s->in_ended = true;
		s->n_out = typed_end_begin(&s->typed_end, s->out);
		return;
	}
	end = s->is_terminal ? memchr(s->out, END_KEY, (size_t)n) : NULL;
	*is_over = end != NULL;
	s->n_out = end ? (size_t)(end - s->out) : (size_t)n;
	typed_end_note_input(&s->typed_end, s->out, s->n_out);
}

/* Copies the shell's output without the questions for the size of the window. */
static int
shell_read_output(struct shell *s, bool *is_over, struct error *err)
{
	char data[CHUNK], out[CHUNK + sizeof(WINDOW_QUERY)];
	ssize_t n = recv(s->fd, data, sizeof(data), 0);
	size_t n_out = 0;

	if (n < 0 && io_is_for_now(errno))
		return 0;
	if (n <= 0) {
		*is_over = true;
		return n < 0 && errno != ECONNRESET
			       ? error_sys(err, "failed to read from the debug console")
			       : 0;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (data[i] != WINDOW_QUERY[s->query]) {
			memcpy(out + n_out, WINDOW_QUERY, s->query);
			n_out += s->query;
			s->query = 0;
		}
		if (data[i] != WINDOW_QUERY[s->query])
			out[n_out++] = data[i];
		else if (!WINDOW_QUERY[++s->query]) {
			s->query = 0;
			s->is_resized = true;
		}
	}
	if (write_full(STDOUT_FILENO, out, n_out) < 0)
		return error_sys(err, "failed to write to standard output");
	if (s->in_ended && s->n_out == 0)
		s->n_out = typed_end_after_output(&s->typed_end, out, n_out, CHUNK, s->out);
	return 0;
}
