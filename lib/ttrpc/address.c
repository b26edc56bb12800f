/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of servers, and how to get connected to one. */
#include "lib/ttrpc/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include <linux/vm_sockets.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/parse.h"

#define DIAL_INTERVAL_MS 10

/* Limits of a wait: a deadline, and an fd (or -1) that cancels it by becoming readable. */
struct attempt {
	uint64_t deadline;
	int stop_fd;
};

static int address_parse_unix(struct address *a, const char *path, struct error *err);
static int address_parse_hvsock(struct address *a, char *rest, struct error *err);
static int address_parse_vsock(struct address *a, char *rest, struct error *err);
static int address_parse_tcp(struct address *a, char *rest, struct error *err);
static int address_wait_for(const struct address *a, const struct attempt *t, int fd, short events,
			    struct error *err);
static int address_handshake(const struct address *a, const struct attempt *t, int fd,
			     struct error *err);

static int
address_bad(const struct address *a, const char *why, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "address '%s': %s", a->text, why);
}

/* Splits ":PORT" from the end of `rest`. */
static int
address_split_port(const struct address *a, char *rest, uint32_t *port, struct error *err)
{
	char *colon = strrchr(rest, ':');

	if (!colon || !parse_u32(colon + 1, port))
		return address_bad(a, "no port number at the end", err);
	*colon = '\0';
	return 0;
}

static int
address_unavailable(const struct address *a, struct error *err)
{
	return error_sys_code(err, ERROR_UNAVAILABLE, "failed to connect to %s", a->text);
}

int
address_parse(const char *text, struct address *out, struct error *err)
{
	struct address a = { 0 };
	char rest[sizeof(a.text)];
	int rc;

	if (strlen(text) >= sizeof(a.text))
		return error_set(err, ERROR_INVALID_ARGUMENT, "address is too long");
	memcpy(a.text, text, strlen(text) + 1);
	if (strncmp(text, "unix://", 7) == 0) {
		rc = address_parse_unix(&a, text + 7, err);
	} else if (strncmp(text, "hvsock://", 9) == 0) {
		memcpy(rest, text + 9, strlen(text + 9) + 1);
		rc = address_parse_hvsock(&a, rest, err);
	} else if (strncmp(text, "vsock://", 8) == 0) {
		memcpy(rest, text + 8, strlen(text + 8) + 1);
		rc = address_parse_vsock(&a, rest, err);
	} else if (strncmp(text, "tcp://", 6) == 0) {
		memcpy(rest, text + 6, strlen(text + 6) + 1);
		rc = address_parse_tcp(&a, rest, err);
	} else {
		rc = address_bad(&a, "must begin with unix://, vsock://, tcp:// or hvsock://", err);
	}
	if (rc == 0)
		*out = a;
	return rc;
}

static int
address_parse_unix(struct address *a, const char *path, struct error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(un.sun_path))
		return address_bad(a, "path of a unix socket must have 1 to 107 bytes", err);
	memcpy(un.sun_path, path, n + 1);
	a->len = sizeof(un);
	if (path[0] == '@') {
		un.sun_path[0] = '\0';
		a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	memcpy(&a->addr, &un, sizeof(un));
	return 0;
}

static int
address_parse_hvsock(struct address *a, char *rest, struct error *err)
{
	a->hybrid = true;
	if (address_split_port(a, rest, &a->port, err) < 0)
		return -1;
	return address_parse_unix(a, rest, err);
}

static int
address_parse_vsock(struct address *a, char *rest, struct error *err)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };

	if (address_split_port(a, rest, &a->port, err) < 0)
		return -1;
	if (strcmp(rest, "-1") != 0 && strcmp(rest, "any") != 0 && !parse_u32(rest, &vm.svm_cid))
		return address_bad(a, "context id is not a number", err);
	vm.svm_port = a->port;
	memcpy(&a->addr, &vm, sizeof(vm));
	a->len = sizeof(vm);
	return 0;
}

static int
address_parse_tcp(struct address *a, char *rest, struct error *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	size_t n;

	if (address_split_port(a, rest, &a->port, err) < 0)
		return -1;
	if (a->port > UINT16_MAX)
		return address_bad(a, "port is over 65535", err);
	v4.sin_port = v6.sin6_port = htons((uint16_t)a->port);
	n = strlen(rest);
	if (n > 2 && rest[0] == '[' && rest[n - 1] == ']') {
		rest[n - 1] = '\0';
		if (inet_pton(AF_INET6, rest + 1, &v6.sin6_addr) != 1)
			return address_bad(a, "not an IPv6 address", err);
		memcpy(&a->addr, &v6, sizeof(v6));
		a->len = sizeof(v6);
		return 0;
	}
	if (inet_pton(AF_INET, strcmp(rest, "localhost") == 0 ? "127.0.0.1" : rest, &v4.sin_addr) !=
	    1)
		return address_bad(a, "host must be a numeric address or localhost", err);
	memcpy(&a->addr, &v4, sizeof(v4));
	a->len = sizeof(v4);
	return 0;
}

int
address_connect(const struct address *a, int timeout_ms, struct error *err)
{
	return address_connect_unless(a, timeout_ms, -1, err);
}

int
address_connect_unless(const struct address *a, int timeout_ms, int stop_fd, struct error *err)
{
	const struct attempt t = { .deadline = deadline_of_timeout(timeout_ms),
				   .stop_fd = stop_fd };
	int family = a->addr.ss_family, error = 0;
	socklen_t len = sizeof(error);
	auto_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return address_unavailable(a, err);
	if (connect(fd, (const struct sockaddr *)&a->addr, a->len) < 0) {
		if (errno != EINPROGRESS)
			return address_unavailable(a, err);
		if (address_wait_for(a, &t, fd, POLLOUT, err) < 0)
			return -1;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			return address_unavailable(a, err);
		errno = error;
		if (error)
			return address_unavailable(a, err);
	}
	if (a->hybrid && address_handshake(a, &t, fd, err) < 0)
		return -1;
	return steal_fd(&fd);
}

static int
address_wait_for(const struct address *a, const struct attempt *t, int fd, short events,
		 struct error *err)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = events },
				 { .fd = t->stop_fd, .events = POLLIN } };
	int n;

	do
		n = poll(pfd, 2, deadline_left_ms(t->deadline));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return address_unavailable(a, err);
	if (pfd[1].revents)
		return error_set(err, ERROR_CANCELLED, "failed to connect to %s: cancelled",
				 a->text);
	if (n == 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "failed to connect to %s: timed out",
				 a->text);
	return 0;
}

/* Sends CONNECT PORT\n and reads the answer byte by byte, since the next bytes belong to the
 * caller. */
static int
address_handshake(const struct address *a, const struct attempt *t, int fd, struct error *err)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "CONNECT %u\n", a->port);
	size_t len = 0;

	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return address_unavailable(a, err);
	while (len < sizeof(line) - 1) {
		ssize_t got;

		if (address_wait_for(a, t, fd, POLLIN, err) < 0)
			return -1;
		got = recv(fd, line + len, 1, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return address_unavailable(a, err);
		if (got == 0)
			return error_set(
				err, ERROR_UNAVAILABLE,
				"failed to connect to %s: no listener on port %u of the guest",
				a->text, a->port);
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	if (strncmp(line, "OK ", 3) != 0 || line[len - 1] != '\n')
		return error_set(err, ERROR_UNAVAILABLE,
				 "failed to connect to %s: unexpected answer '%s'", a->text, line);
	return 0;
}

int
address_dial(const struct address *a, int timeout_ms, struct error *err)
{
	static const struct timespec interval = { .tv_nsec = DIAL_INTERVAL_MS * NS_PER_MS };
	uint64_t deadline = deadline_of_timeout(timeout_ms);

	for (;;) {
		int fd = address_connect(a, deadline_left_ms(deadline), err);

		if (fd >= 0 || deadline_is_over(deadline))
			return fd;
		/* There is no notification when a server starts to listen. */
		(void)nanosleep(&interval, NULL);
	}
}
