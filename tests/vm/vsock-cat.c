/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock-cat ADDRESS PORT: copies stdin to a vsock port of a guest and its output to stdout until
 * the guest closes. ADDRESS is vsock://CID:ANY, or the unix socket of vhost-device-vsock. vsock-cat
 * ADDRESS PORT stall TIMES: connects that many times, reads everything, a little or nothing, and
 * disconnects.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define STALL_MS 20
/* pieces; a log under constant writing is never quiet */
#define READ_MAX 10

/* Sends "CONNECT PORT\n" and reads "OK NUMBER\n" byte by byte, because the guest's data follows. */
static int
shake_hands(int fd, unsigned int port)
{
	char line[64];
	size_t n = (size_t)snprintf(line, sizeof(line), "CONNECT %u\n", port);

	if (send(fd, line, n, MSG_NOSIGNAL) != (ssize_t)n)
		return -1;
	for (n = 0; n < sizeof(line); n++) {
		if (recv(fd, line + n, 1, 0) != 1)
			return -1;
		if (line[n] == '\n')
			return strncmp(line, "OK ", 3) == 0 ? 0 : -1;
	}
	return -1;
}

static int
dial(const char *address, unsigned int port)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_port = port };
	int is_vsock = strncmp(address, "vsock://", 8) == 0;
	int fd = socket(is_vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (is_vsock) {
		vm.svm_cid = (unsigned int)strtoul(address + 8, NULL, 10);
		if (connect(fd, (struct sockaddr *)&vm, sizeof(vm)) == 0)
			return fd;
	} else {
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", address);
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
		    shake_hands(fd, port) == 0)
			return fd;
	}
	(void)close(fd);
	return -1;
}

/* Copies the available data. Returns false at end of file. */
static int
copy(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && write(to, buf, (size_t)n) == n;
}

static volatile sig_atomic_t is_told_to_end;

static void
on_term(int sig)
{
	(void)sig;
	is_told_to_end = 1;
}

/* Relays until the guest closes, or until SIGTERM, after passing on pending stdin. */
static int
relay(int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = STDIN_FILENO, .events = POLLIN } };
	struct sigaction act = { .sa_handler = on_term };
	sigset_t term, none;

	(void)sigemptyset(&none);
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	for (;;) {
		if (ppoll(p, 2, NULL, &none) < 0) {
			if (errno != EINTR || !is_told_to_end)
				return 1;
			while (p[1].fd >= 0 && poll(&p[1], 1, 0) > 0 && copy(STDIN_FILENO, fd))
				continue;
			return 0;
		}
		if (p[0].revents && !copy(fd, STDOUT_FILENO))
			return 0;
		/* Never half-close: vhost-device-vsock would close both directions. */
		if (p[1].revents && !copy(STDIN_FILENO, fd))
			p[1].fd = -1;
	}
}

/* Reads until the connection is quiet (at most READ_MAX pieces), one small piece, or nothing. */
static int
stall(const char *address, unsigned int port, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		int fd = dial(address, port);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char buf[512];
		ssize_t n;

		if (fd < 0) {
			perror("connect");
			return 1;
		}
		switch (i % 3) {
		case 0:
			for (int k = 0; k < READ_MAX && poll(&p, 1, STALL_MS) > 0; k++)
				if (!copy(fd, STDOUT_FILENO))
					break;
			break;
		case 1:
			n = recv(fd, buf, sizeof(buf), 0);
			if (n > 0 && write(STDOUT_FILENO, buf, (size_t)n) != n)
				return 1;
			break;
		default:
			(void)poll(NULL, 0, STALL_MS);
		}
		(void)close(fd);
		if (write(STDOUT_FILENO, "\n", 1) != 1)
			return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned int port;
	int fd;

	if (argc != 3 && argc != 5) {
		fprintf(stderr, "usage: vsock-cat ADDRESS PORT [stall TIMES]\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	port = (unsigned int)strtoul(argv[2], NULL, 10);
	if (argc == 5)
		return stall(argv[1], port, (unsigned int)strtoul(argv[4], NULL, 10));
	fd = dial(argv[1], port);
	if (fd < 0) {
		perror("connect");
		return 1;
	}
	return relay(fd);
}
