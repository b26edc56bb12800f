/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pty ROWS COLUMNS COMMAND [ARGUMENT…]: runs a command on a terminal and types what a script on
 * standard input says. A line each:
 *
 *	expect TEXT          waits for TEXT in the output after the last one that was expected
 *	send TEXT            types TEXT
 *	resize ROWS COLUMNS  changes the size of the window
 *	kill SIGNAL          sends the command a signal (a number)
 *	hangup               closes the terminal
 *	exit CODE            waits for the end of the command: its exit code, 128 + the signal
 *
 * TEXT may have \r, \n, \e, \\ and \xHH. The output is copied to standard output. Exits with 0, or
 * with 1 and the reason on standard error: nothing came for PTY_TIMEOUT seconds (default 120),
 * another exit code, or a terminal whose modes are not those of the begin.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#define OUTPUT_MAX (4u << 20)

static int master = -1;
static pid_t child;
/* output without those bytes that were expected already */
static char output[OUTPUT_MAX + 1];
static size_t n_output, n_seen;
static bool is_at_end;
static int timeout_ms = 120000;

static _Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fprintf(stderr, "\npty: ");
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "\n");
	va_end(ap);
	if (child > 0)
		(void)kill(child, SIGKILL);
	exit(1);
}

/* Reads output, at most once, waiting for it. */
static void
read_output(void)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout_ms) == 0)
		fail("timed out");
	if (n_output == OUTPUT_MAX)
		fail("too much output");
	n = read(master, output + n_output, OUTPUT_MAX - n_output);
	if (n < 0 && errno == EINTR)
		return;
	/* EIO: the other end is closed. */
	if (n <= 0) {
		is_at_end = true;
		return;
	}
	(void)fwrite(output + n_output, 1, (size_t)n, stdout);
	(void)fflush(stdout);
	n_output += (size_t)n;
	output[n_output] = '\0';
}

static void
expect(const char *text, size_t n)
{
	for (;;) {
		char *at = memmem(output + n_seen, n_output - n_seen, text, n);

		if (at) {
			n_seen = (size_t)(at - output) + n;
			return;
		}
		if (is_at_end)
			fail("the output ended without \"%s\"", text);
		read_output();
	}
}

static void
type(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = write(master, text, n);

		if (sent < 0)
			fail("failed to type: %s", strerror(errno));
		text += sent;
		n -= (size_t)sent;
	}
}

static void
resize(const char *text)
{
	struct winsize size = { 0 };

	if (sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) != 2 ||
	    ioctl(master, TIOCSWINSZ, &size) < 0)
		fail("failed to resize to %s", text);
}

static void
expect_exit(int want, const struct termios *begin)
{
	struct termios end;
	int status, code;
	struct timespec pause = { .tv_nsec = 10000000 };

	while (master >= 0 && !is_at_end)
		read_output();
	for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; waited += 10) {
		if (waited > timeout_ms)
			fail("timed out waiting for the end");
		(void)nanosleep(&pause, NULL);
	}
	child = 0;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (code != want)
		fail("exit code %d, not %d", code, want);
	if (WIFEXITED(status) && master >= 0 && tcgetattr(master, &end) == 0 &&
	    (end.c_lflag != begin->c_lflag || end.c_iflag != begin->c_iflag ||
	     end.c_oflag != begin->c_oflag))
		fail("the modes of the terminal were not restored");
}

/* Replaces escapes in place. Returns the length. */
static size_t
unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		unsigned int byte;

		if (*in != '\\') {
			*out++ = *in;
			continue;
		}
		switch (*++in) {
		case 'r':
			*out++ = '\r';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'e':
			*out++ = '\033';
			break;
		case 'x':
			if (sscanf(in + 1, "%2x", &byte) != 1)
				fail("invalid escape in %s", text);
			*out++ = (char)byte;
			in += 2;
			break;
		default:
			*out++ = *in;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

int
main(int argc, char **argv)
{
	const char *timeout = getenv("PTY_TIMEOUT");
	struct termios begin;
	struct winsize size = { 0 };
	char line[4096];
	int slave;

	if (argc < 4)
		fail("usage: pty ROWS COLUMNS COMMAND…");
	size.ws_row = (unsigned short)atoi(argv[1]);
	size.ws_col = (unsigned short)atoi(argv[2]);
	if (timeout)
		timeout_ms = atoi(timeout) * 1000;
	if (openpty(&master, &slave, NULL, NULL, &size) < 0 || tcgetattr(master, &begin) < 0)
		fail("failed to make a terminal: %s", strerror(errno));
	child = fork();
	if (child < 0)
		fail("failed to fork: %s", strerror(errno));
	if (child == 0) {
		(void)close(master);
		(void)login_tty(slave);
		(void)execvp(argv[3], argv + 3);
		_exit(127);
	}
	(void)close(slave);
	while (fgets(line, sizeof(line), stdin)) {
		char *text;
		size_t n;

		line[strcspn(line, "\n")] = '\0';
		text = strchr(line, ' ');
		if (text)
			*text++ = '\0';
		else
			text = line + strlen(line);
		n = unescape(text);
		if (strcmp(line, "expect") == 0)
			expect(text, n);
		else if (strcmp(line, "send") == 0)
			type(text, n);
		else if (strcmp(line, "resize") == 0)
			resize(text);
		else if (strcmp(line, "kill") == 0)
			(void)kill(child, atoi(text));
		else if (strcmp(line, "exit") == 0)
			expect_exit(atoi(text), &begin);
		else if (strcmp(line, "hangup") == 0) {
			(void)close(master);
			master = -1;
		} else if (line[0] && line[0] != '#')
			fail("unknown line \"%s\"", line);
	}
	if (child > 0)
		fail("the script has no exit");
	return 0;
}
