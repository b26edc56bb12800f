/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of listeners. Called at start by server.c and logsink.c. Looks up no names. */
#include "agent/server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define BACKLOG 128

union any_address {
	struct sockaddr sa;
	struct sockaddr_vm vm;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static const char *
after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Splits "HOST:PORT" at the last colon; the host is copied. */
static bool
split_port(const char *s, char *host, size_t size, uint32_t *port)
{
	const char *colon = strrchr(s, ':');

	if (!colon || (size_t)(colon - s) >= size || !parse_u32(colon + 1, port))
		return false;
	memcpy(host, s, (size_t)(colon - s));
	host[colon - s] = '\0';
	return true;
}

static socklen_t
parse_vsock(const char *s, union any_address *a)
{
	char cid[16];
	uint32_t port, number;

	if (!split_port(s, cid, sizeof(cid), &port))
		return 0;
	if (strcmp(cid, "-1") == 0)
		number = VMADDR_CID_ANY;
	else if (!parse_u32(cid, &number))
		return 0;
	a->vm.svm_family = AF_VSOCK;
	a->vm.svm_cid = number;
	a->vm.svm_port = port;
	return sizeof(a->vm);
}

static socklen_t
parse_unix(const char *s, union any_address *a)
{
	size_t n = strlen(s);

	if (n == 0 || n >= sizeof(a->un.sun_path))
		return 0;
	a->un.sun_family = AF_UNIX;
	memcpy(a->un.sun_path, s, n);
	if (s[0] == '@')
		a->un.sun_path[0] = '\0';
	/* The length of an abstract name counts, that of a path ends at its NUL. */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (s[0] != '@'));
}

static socklen_t
parse_tcp(const char *s, union any_address *a)
{
	char host[64];
	uint32_t port;
	size_t n;

	if (!split_port(s, host, sizeof(host), &port) || port > 65535)
		return 0;
	n = strlen(host);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host + 1, &a->in6.sin6_addr) == 1 ? sizeof(a->in6) : 0;
	}
	a->in.sin_family = AF_INET;
	a->in.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &a->in.sin_addr) == 1 ? sizeof(a->in) : 0;
}

static socklen_t
parse(const char *address, union any_address *a)
{
	const char *rest;

	memset(a, 0, sizeof(*a));
	if ((rest = after(address, "vsock://")))
		return parse_vsock(rest, a);
	if ((rest = after(address, "unix://")))
		return parse_unix(rest, a);
	if ((rest = after(address, "tcp://")))
		return parse_tcp(rest, a);
	return 0;
}

/* A socket that an earlier agent left behind is in the way; anything else stays and bind fails. */
static void
remove_old(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
}

void
address_forget(char *path)
{
	if (path)
		(void)unlink(path);
	free(path);
}

void
address_shed(int listener, int *spare)
{
	int fd;

	close_fd(spare);
	fd = RETRY_EINTR(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	close_fd(&fd);
	*spare = eventfd(0, EFD_CLOEXEC);
}

int
address_accept(int listener, int *spare, uint32_t *port)
{
	union any_address peer = { .sa.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(peer);
	int fd = RETRY_EINTR(accept4(listener, &peer.sa, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		address_shed(listener, spare);
	*port = peer.sa.sa_family == AF_VSOCK ? peer.vm.svm_port : 0;
	if (fd >= 0 && peer.sa.sa_family == AF_VSOCK && peer.vm.svm_cid != VMADDR_CID_HOST)
		close_fd(&fd);
	return fd;
}

int
address_listen(const char *address, int *family, char **path, struct error *err)
{
	union any_address a;
	socklen_t size = parse(address, &a);
	auto_free char *copy = NULL;
	auto_close int fd = -1;
	int one = 1;

	if (size == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "address %s: not understood",
				 address);
	if (a.sa.sa_family == AF_UNIX && a.un.sun_path[0] != '\0') {
		copy = strdup(a.un.sun_path);
		if (!copy)
			return error_nomem(err, "listening");
		remove_old(copy);
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_sys(err, "address %s: make a socket", address);
	if (a.sa.sa_family == AF_INET || a.sa.sa_family == AF_INET6)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a.sa, size) < 0)
		return error_sys(err, "address %s: bind", address);
	if (listen(fd, BACKLOG) < 0)
		return error_sys(err, "address %s: listen", address);
	*family = a.sa.sa_family;
	*path = steal_ptr(&copy);
	return steal_fd(&fd);
}
