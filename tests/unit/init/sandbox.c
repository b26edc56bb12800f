/* SPDX-License-Identifier: Apache-2.0 */
/* Used by the tests of init only. */
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/unit/init/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_MADE 254

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return is_written;
}

static bool
enter_namespaces(int flags)
{
	unsigned int uid = getuid(), gid = getgid();
	char map[64];

	if (uid == 0)
		return unshare(flags | CLONE_NEWPID) == 0;
	if (unshare(flags | CLONE_NEWPID | CLONE_NEWUSER) < 0)
		return false;
	(void)snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!put("/proc/self/uid_map", map) || !put("/proc/self/setgroups", "deny"))
		return false;
	(void)snprintf(map, sizeof(map), "0 %u 1", gid);
	return put("/proc/self/gid_map", map);
}

int
sandbox_run(int flags, int (*fn)(void *data), void *data)
{
	pid_t test = getpid(), outer, inner;
	int code;

	(void)fflush(NULL);
	outer = fork();
	if (outer < 0)
		return -1;
	if (outer == 0) {
		die_with_parent(test);
		if (!enter_namespaces(flags))
			_exit(NOT_MADE);
		if ((flags & CLONE_NEWNS) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(NOT_MADE);
		inner = fork();
		if (inner < 0)
			_exit(NOT_MADE);
		if (inner == 0) {
			/* and with PID 1 all others of its namespace */
			die_with_parent(0);
			_exit(fn(data));
		}
		_exit(wait_for(inner));
	}
	code = wait_for(outer);
	return code == NOT_MADE ? -1 : code;
}

static int
nothing(void *data)
{
	(void)data;
	return getpid() == 1 ? 0 : 1;
}

void
sandbox_require(void)
{
	if (sandbox_run(CLONE_NEWNS, nothing, NULL) == 0)
		return;
	if (getenv("CI"))
		REQUIRE(false, "no new namespaces can be made here");
	cr_skip_test("no new namespaces can be made here");
}
