/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of debug console sessions: connections over vsock, up to CONSOLE_SESSIONS_MAX at a time,
 * or the guest's own console, one session after the other. */
#include "agent/console/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "agent/console/console_internal.h"
#include "agent/server/address.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

static const char full_text[] = "debug console: all sessions are taken\r\n";
static const char again_text[] =
	"\r\ndebug console: the shell has ended; any key starts another\r\n";

static int console_listen(struct console *console, struct error *err);
static void console_session_gone(struct console *console);
static void console_on_listener(uint32_t events, void *data);
static int serial_open(struct console *console, struct error *err);
static void serial_make_raw(struct console *console);
static int serial_start(struct console *console, struct error *err);
static void serial_on_key(uint32_t events, void *data);

/* ---- opening and closing ---- */

struct console *
console_new(const struct console_spec *spec, struct error *err)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console) {
		error_nomem(err, "creating the debug console");
		return NULL;
	}
	console->spec = *spec;
	console->listener = -1;
	console->spare = -1;
	console->serial = -1;
	console->session_gone = console_session_gone;
	list_init(&console->sessions);
	if ((spec->address ? console_listen(console, err) : serial_open(console, err)) == 0) {
		/* owned by the caller */
		console->spec.address = NULL;
		return console;
	}
	console_free(console);
	return NULL;
}

void
console_free(struct console *console)
{
	if (!console)
		return;
	loop_unwatch(console->watch);
	console->watch = NULL;
	while (!list_is_empty(&console->sessions))
		session_free(session_of_node(console->sessions.next));
	if (console->saved)
		(void)tcsetattr(console->serial, TCSANOW, console->saved);
	free(console->saved);
	close_fd(&console->listener);
	close_fd(&console->spare);
	close_fd(&console->serial);
	address_forget(console->path);
	free(console);
}

unsigned int
console_sessions(const struct console *console)
{
	return console->n_sessions;
}

/* ---- vsock ---- */

static int
console_listen(struct console *console, struct error *err)
{
	int family;

	console->spare = eventfd(0, EFD_CLOEXEC);
	console->listener = address_listen(console->spec.address, &family, &console->path, err);
	if (console->listener < 0)
		return -1;
	console->watch = loop_watch(console->spec.loop, console->listener, EPOLLIN,
				    console_on_listener, console, err);
	return console->watch ? 0 : -1;
}

static void
console_on_listener(uint32_t events, void *data)
{
	struct console *console = data;
	struct error err = ERROR_INIT;
	uint32_t port;
	int fd = address_accept(console->listener, &console->spare, &port);

	(void)events;
	if (fd < 0) {
		(void)watch_may_retry(console->watch, errno);
		return;
	}
	if (console->n_sessions >= CONSOLE_SESSIONS_MAX) {
		(void)!write(fd, full_text, strlen(full_text));
		close_fd(&fd);
		log_warn("console", "connection refused: all %d sessions are taken",
			 CONSOLE_SESSIONS_MAX);
	} else if (session_start(console, fd, &err) < 0) {
		log_warn("console", "failed to start a session: %s", err.msg);
	}
}

/* ---- the guest's own console ---- */

static int
serial_open(struct console *console, struct error *err)
{
	console->serial = openat(console->spec.roots->dev, "console",
				 O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (console->serial < 0)
		return error_sys(err, "failed to open /dev/console");
	serial_make_raw(console);
	console->watch = loop_watch(console->spec.loop, console->serial, EPOLLIN, serial_on_key,
				    console, err);
	return console->watch ? serial_start(console, err) : -1;
}

/* Passes every key on to the shell. Output processing stays on: init and the kernel print there,
 * too, and end their lines with a bare newline. */
static void
serial_make_raw(struct console *console)
{
	struct termios *saved = malloc(sizeof(*saved));
	struct termios raw;

	if (!saved || tcgetattr(console->serial, saved) < 0) {
		free(saved);
		return;
	}
	console->saved = saved;
	raw = *saved;
	cfmakeraw(&raw);
	raw.c_oflag = saved->c_oflag;
	(void)tcsetattr(console->serial, TCSANOW, &raw);
}

/* Starts a session on a copy of the descriptor. The console itself is not read until that session
 * has ended. */
static int
serial_start(struct console *console, struct error *err)
{
	int fd = fcntl(console->serial, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return error_sys(err, "failed to duplicate the console's descriptor");
	watch_set_events(console->watch, 0);
	if (session_start(console, fd, err) == 0)
		return 0;
	watch_set_events(console->watch, EPOLLIN);
	return -1;
}

static void
serial_on_key(uint32_t events, void *data)
{
	struct console *console = data;
	struct error err = ERROR_INIT;
	char key[64];

	(void)events;
	if (RETRY_EINTR(read(console->serial, key, sizeof(key))) < 0 && errno != EAGAIN) {
		log_warn("console", "failed to read /dev/console: %s", strerror(errno));
		watch_set_events(console->watch, 0);
		return;
	}
	if (serial_start(console, &err) < 0)
		log_warn("console", "failed to start a session: %s", err.msg);
}

static void
console_session_gone(struct console *console)
{
	console->n_sessions--;
	if (console->serial < 0 || !console->watch)
		return;
	(void)!write(console->serial, again_text, strlen(again_text));
	watch_set_events(console->watch, EPOLLIN);
}
