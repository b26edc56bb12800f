/* SPDX-License-Identifier: Apache-2.0 */
/* The line of progress of a boot. */
#include "ctl/vm/progress.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"

#define REDRAW_MS  100
#define TEXT_MAX   300
#define COLUMNS    80
#define ERASE_LINE "\r\033[K"

/* A message to the process that draws. */
struct progress_message {
	enum { PROGRESS_STEP, PROGRESS_REMARK, PROGRESS_END } kind;
	char text[TEXT_MAX];
};

/* The socket of the process that draws, -1: there is none; and its pid. */
static int progress_fd = -1;
static pid_t progress_pid;

static void progress_draw(int fd);
static void progress_send(int kind, const char *text);

void
progress_begin(void)
{
	const char *terminal = getenv("TERM");
	int pair[2];

	if (progress_fd >= 0 || !isatty(STDERR_FILENO) ||
	    (terminal && strcmp(terminal, "dumb") == 0) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	progress_pid = fork();
	if (progress_pid == 0) {
		progress_draw(pair[1]);
		_exit(0);
	}
	(void)close(pair[1]);
	progress_fd = pair[0];
	if (progress_pid < 0)
		close_fd(&progress_fd);
}

void
progress_step(const char *step)
{
	progress_send(PROGRESS_STEP, step);
}

void
progress_remark(const char *remark)
{
	progress_send(PROGRESS_REMARK, remark);
}

void
progress_end(void)
{
	char ignored;
	int status;

	if (progress_fd < 0)
		return;
	progress_send(PROGRESS_END, "");
	/* The other end is closed by the end of the process. */
	(void)RETRY_EINTR(recv(progress_fd, &ignored, 1, 0));
	close_fd(&progress_fd);
	(void)waitpid(progress_pid, &status, 0);
}

static void
progress_send(int kind, const char *text)
{
	struct progress_message m = { .kind = kind };

	if (progress_fd < 0)
		return;
	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	(void)send(progress_fd, &m, sizeof(m), MSG_NOSIGNAL);
}

/* ---- the process that draws ---- */

/* Writes a line that fits the terminal, so that a carriage return gets back to its begin. */
static void
progress_write(const struct progress_message *shown, uint64_t begin_ns)
{
	uint64_t ms = (monotonic_ns() - begin_ns) / NS_PER_MS;
	char line[2 * TEXT_MAX + 64], out[sizeof(line) + sizeof(ERASE_LINE)];
	struct winsize ws = { .ws_col = 0 };
	size_t columns = COLUMNS;
	int n;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1)
		columns = ws.ws_col;
	(void)snprintf(line, sizeof(line), "[%3llu.%llu s] %s%s%s%s",
		       (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 100),
		       shown[PROGRESS_STEP].text, shown[PROGRESS_REMARK].text[0] ? " (" : "",
		       shown[PROGRESS_REMARK].text, shown[PROGRESS_REMARK].text[0] ? ")" : "");
	/* One byte is one column. */
	for (char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	n = snprintf(out, sizeof(out), ERASE_LINE "%.*s", (int)(columns - 1), line);
	(void)write_full(STDERR_FILENO, out, (size_t)n);
}

/* Draws until the end is sent, or each process that could send it has ended. Keeps no file of its
 * parent open: a reader of the parent's output would not see its end. */
static void
progress_draw(int fd)
{
	struct progress_message m, shown[2] = { { .text = "" } };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t begin_ns = monotonic_ns();
	bool is_drawn = false;
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)close_all_but(&fd, 1);
	for (;;) {
		if (poll(&p, 1, REDRAW_MS) > 0) {
			if (recv(fd, &m, sizeof(m), 0) != (ssize_t)sizeof(m) ||
			    m.kind == PROGRESS_END)
				break;
			shown[m.kind] = m;
		}
		if (!shown[PROGRESS_STEP].text[0])
			continue;
		progress_write(shown, begin_ns);
		is_drawn = true;
	}
	if (is_drawn)
		(void)write_full(STDERR_FILENO, ERASE_LINE, strlen(ERASE_LINE));
}
