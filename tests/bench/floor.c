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
