/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of streams passed through: passfd SOCKET PORT COMMAND [ARGUMENT...]. Makes three
 * connections to PORT of the guest behind vhost-device-vsock's SOCKET (or to vsock://CID with the
 * kernel's vsock), passes their ports to COMMAND as STDIN_PORT, STDOUT_PORT and STDERR_PORT, and
 * relays: its stdin to the first until end of file, the second and third to its stdout and stderr.
 * COMMAND's output goes to stderr. Returns COMMAND's exit code once it has exited and both outputs
 * are closed.
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
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/log_event.h"

/* The time, in milliseconds, from the end of the process to the end of its streams. The guest's
 * kernel resets a connection 8 s after its end was closed if the other end has not confirmed that.
 * vhost-device-vsock does not if it still has data to write at that moment. */
#define END_WAIT_MS 30000

static int
die(const char *what)
{
	fprintf(stderr, "passfd: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* Returns the number of connections that the agent has logged, and the port of the last. */
static unsigned int
seen_on_console(unsigned int *last)
{
	static const char event[] = "\"event\":\"" EVENT_STREAM_CONNECTED "\"",
			  key[] = "\"port\":\"";
	FILE *f = fopen(getenv("CONSOLE") ? getenv("CONSOLE") : "/dev/null", "re");
	char line[4096];
	unsigned int n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, key);

		/* The last line may be incomplete. */
		if (!at || !strstr(line, event) || !strchr(line, '\n'))
			continue;
		*last = (unsigned int)strtoul(at + strlen(key), NULL, 10);
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

/* Connects through vhost-device-vsock, which does not report the port that the guest sees: the
 * agent logs it on the console. */
static int
connect_hybrid(const char *path, const char *port, unsigned int *ours)
{
	unsigned int ignored, before = seen_on_console(&ignored);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[64];
	size_t len = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		die(path);
	strcpy(addr.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(path);
	if (dprintf(fd, "CONNECT %s\n", port) < 0)
		die("CONNECT");
	while (len + 1 < sizeof(line) && read(fd, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
	if (strncmp(line, "OK ", 3) != 0) {
		fprintf(stderr, "passfd: CONNECT %s was answered '%s'\n", port, line);
		exit(125);
	}
	for (int i = 0; seen_on_console(ours) == before; i++) {
		if (i == 1000) {
			fprintf(stderr, "passfd: no word of the connection on the console\n");
			exit(125);
		}
		(void)poll(NULL, 0, 10);
	}
	return fd;
}

static int
connect_vsock(const char *cid, const char *port, unsigned int *ours)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK };
	socklen_t size = sizeof(addr);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.svm_cid = (unsigned int)strtoul(cid, NULL, 10);
	addr.svm_port = (unsigned int)strtoul(port, NULL, 10);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect over vsock");
	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, (struct sockaddr *)&addr, &size) < 0)
		die("getsockname");
	*ours = addr.svm_port;
	return fd;
}

static pid_t
start_command(char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)!freopen("/dev/null", "r", stdin);
	(void)execvp(argv[0], argv);
	die(argv[0]);
	return -1;
}

/* Moves one piece. Returns its size, 0 at the end of the stream. */
static size_t
move(int from, int to)
{
	static char piece[256 << 10];
	ssize_t n;

	do {
		n = read(from, piece, sizeof(piece));
	} while (n < 0 && errno == EINTR);
	for (ssize_t done = 0; done < n;) {
		ssize_t w = write(to, piece + done, (size_t)(n - done));

		if (w < 0 && errno != EINTR)
			return 0;
		done += w > 0 ? w : 0;
	}
	return n > 0 ? (size_t)n : 0;
}

/* Relays stdin in a child process, which may block while the other streams continue. */
static void
start_input(int *fd, const int *others)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(others[0]);
		close(others[1]);
		while (move(STDIN_FILENO, *fd))
			;
		_exit(0);
	}
	close(*fd);
	*fd = -1;
}

int
main(int argc, char **argv)
{
	static const char *const names[] = { "STDIN_PORT", "STDOUT_PORT", "STDERR_PORT" };
	struct pollfd p[3] = { { .fd = -1 }, { .events = POLLIN }, { .events = POLLIN } };
	size_t got[3] = { 0, 0, 0 };
	int fd[3], status;
	pid_t pid;

	if (argc < 4)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		unsigned int port = 0;
		char text[16];

		fd[i] = strncmp(argv[1], "vsock://", 8) == 0
				? connect_vsock(argv[1] + 8, argv[2], &port)
				: connect_hybrid(argv[1], argv[2], &port);
		snprintf(text, sizeof(text), "%u", port);
		setenv(names[i], text, 1);
	}
	p[1].fd = fd[1];
	p[2].fd = fd[2];
	pid = start_command(argv + 3);
	start_input(&fd[0], fd + 1);
	while (p[1].fd >= 0 || p[2].fd >= 0) {
		int n = poll(p, 3, END_WAIT_MS);

		if (n < 0 && errno != EINTR)
			die("poll");
		/* The process has ended with its streams open: they will never end. */
		if (n == 0 && waitpid(pid, &status, WNOHANG) == pid) {
			fprintf(stderr,
				"passfd: the command has ended, but not%s%s: %zu and %zu bytes\n",
				p[1].fd >= 0 ? " stdout" : "", p[2].fd >= 0 ? " stderr" : "",
				got[1], got[2]);
			return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 124;
		}
		for (int i = 1; i < 3; i++) {
			size_t size;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			size = move(fd[i], i);
			got[i] += size;
			if (size == 0)
				p[i].fd = -1;
		}
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
