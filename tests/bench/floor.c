/* SPDX-License-Identifier: Apache-2.0 */
/* Floors; see floor.h. */
#include "tests/bench/floor.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"

static uint64_t
reaped(pid_t pid, uint64_t start_ns)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return 0;
	return monotonic_ns() - start_ns;
}

static void
become_container(const char *rootfs)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(rootfs) < 0 ||
	    sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		_exit(126);
	(void)execv(argv[0], argv);
	_exit(127);
}

uint64_t
floor_container(const char *rootfs)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	uint64_t start_ns = monotonic_ns();
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		become_container(rootfs);
	return reaped(pid, start_ns);
}

/* Joins the namespaces of pid in a child and runs the program there. */
static void
join_and_run(pid_t pid)
{
	static const char *const kinds[] = { "mnt", "ipc", "uts", "cgroup", "pid" };
	char *argv[] = { (char *)"/bin/true", NULL };
	int fds[ARRAY_LEN(kinds)], status;
	pid_t child;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[i]);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (setns(fds[i], 0) < 0)
			_exit(126);
	child = fork();
	if (child == 0) {
		(void)execv(argv[0], argv);
		_exit(127);
	}
	_exit(child < 0 || waitpid(child, &status, 0) != child || status != 0);
}

uint64_t
floor_exec(pid_t pid)
{
	uint64_t start_ns = monotonic_ns();
	pid_t child = fork();

	if (child == 0)
		join_and_run(pid);
	return reaped(child, start_ns);
}

int
floor_echo_start(pid_t *pid)
{
	int s[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return -1;
	*pid = fork();
	if (*pid == 0) {
		(void)close(s[0]);
		while (read(s[1], &c, 1) == 1 && write(s[1], &c, 1) == 1)
			;
		_exit(0);
	}
	(void)close(s[1]);
	return s[0];
}

uint64_t
floor_echo(int fd)
{
	uint64_t start_ns = monotonic_ns();
	char c = 'x';

	if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
		return 0;
	return monotonic_ns() - start_ns;
}

double
floor_pipe(uint64_t bytes)
{
	static char block[32 << 10];
	uint64_t start_ns, left = bytes;
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		for (uint64_t n = 0; n < bytes; n += sizeof(block))
			if (write_full(p[1], block, sizeof(block)) < 0)
				_exit(1);
		_exit(0);
	}
	(void)close(p[1]);
	start_ns = monotonic_ns();
	while (left) {
		ssize_t n = read(p[0], block, sizeof(block));

		if (n <= 0)
			break;
		left -= (uint64_t)n;
	}
	start_ns = monotonic_ns() - start_ns;
	(void)close(p[0]);
	(void)waitpid(pid, &status, 0);
	return left ? 0 : (double)bytes * 1e9 / (double)start_ns;
}

#define SCRATCH "/dev/shm/tatami-bench-XXXXXX"

/* The receiving end: writes to the file until the end of the stream, then replies with one byte. */
_Noreturn static void
take_copy(int sock, int file, size_t part)
{
	char *data = malloc(part);
	ssize_t n;

	while (data && (n = read(sock, data, part)) > 0)
		if (write_full(file, data, (size_t)n) < 0)
			_exit(1);
	_exit(write_full(sock, "x", 1) < 0);
}

double
floor_copy(uint64_t bytes, size_t part)
{
	char name[] = SCRATCH, byte;
	auto_close int file = mkstemp(name);
	auto_free char *data = calloc(1, part);
	int socks[2], status;
	uint64_t start_ns;
	pid_t pid;

	if (file < 0 || !data || unlink(name) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		(void)close(socks[0]);
		take_copy(socks[1], file, part);
	}
	(void)close(socks[1]);
	start_ns = monotonic_ns();
	for (uint64_t sent = 0; sent < bytes; sent += part)
		if (write_full(socks[0], data, part) < 0)
			break;
	(void)shutdown(socks[0], SHUT_WR);
	(void)read_full(socks[0], &byte, 1);
	start_ns = monotonic_ns() - start_ns;
	(void)close(socks[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 0;
	return (double)bytes / 1048576 * 1e9 / (double)start_ns;
}

double
floor_send(uint64_t bytes, size_t part)
{
	auto_free char *data = calloc(1, part);
	char byte[1];
	int socks[2], status;
	uint64_t start_ns;
	pid_t pid;

	if (!data || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		static char block[256u << 10];
		ssize_t n;

		(void)close(socks[0]);
		while ((n = read(socks[1], block, sizeof(block))) > 0)
			continue;
		_exit(n < 0 || write_full(socks[1], "x", 1) < 0);
	}
	(void)close(socks[1]);
	start_ns = monotonic_ns();
	for (uint64_t sent = 0; sent < bytes; sent += part)
		if (write_full(socks[0], data, part) < 0)
			break;
	(void)shutdown(socks[0], SHUT_WR);
	(void)read_full(socks[0], byte, 1);
	start_ns = monotonic_ns() - start_ns;
	(void)close(socks[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 0;
	return (double)bytes / 1048576 * 1e9 / (double)start_ns;
}

double
floor_file(unsigned int n, size_t size)
{
	char dir[] = SCRATCH, name[32];
	auto_free char *data = calloc(1, size);
	auto_close int at = -1;
	uint64_t start_ns;

	if (!data || !mkdtemp(dir))
		return 0;
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	start_ns = monotonic_ns();
	for (unsigned int i = 0; i < n; i++) {
		auto_close int fd = -1;

		(void)snprintf(name, sizeof(name), "%u", i);
		fd = openat(at, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 || write_full(fd, data, size) < 0)
			return 0;
	}
	start_ns = monotonic_ns() - start_ns;
	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		(void)unlinkat(at, name, 0);
	}
	(void)rmdir(dir);
	return (double)start_ns / 1e6 / n;
}
