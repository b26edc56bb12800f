/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a cgroup while one system call fails: each unlinkat and each write in turn. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"
#include "tests/support/elapsed.h"
#include "tests/support/orphan.h"

#define TOP     "top"
#define PATH    TOP "/a/b"
#define OTHER   "parents"
#define CROWDED "crowd"
#define CROWD   8

/* The number of the call that fails, counted from 1 (0: none), and the calls so far. */
static int unlink_fails, write_fails, unlinks, writes;

/* Replaces the function of the C library, as write() does below. */
int
unlinkat(int fd, const char *path, int flags)
{
	if (++unlinks == unlink_fails) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_unlinkat, fd, path, flags);
}

/* Processes of a cgroup whose end takes long: each third write of cgroup.kill kills one of them. */
static struct {
	pid_t pids[CROWD];
	unsigned int left, kills;
	/* their number, in place of pids.current: a hierarchy without the controller lacks it */
	int count;
} crowd = { .count = -1 };

static void
crowd_note(void)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u\n", crowd.left);

	REQUIRE_EQ(ftruncate(crowd.count, 0), 0);
	REQUIRE_EQ(pwrite(crowd.count, text, (size_t)n, 0), n);
}

static void
crowd_kill(void)
{
	if (++crowd.kills % 3 != 0 || crowd.left == 0)
		return;
	crowd.left--;
	REQUIRE_EQ(kill(crowd.pids[crowd.left], SIGKILL), 0);
	REQUIRE_EQ(waitpid(crowd.pids[crowd.left], NULL, 0), crowd.pids[crowd.left]);
	crowd_note();
}

/* Replaces the function of the C library. */
int
openat(int fd, const char *path, int flags, ...)
{
	char own[32];
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (crowd.count >= 0 && strcmp(path, "pids.current") == 0) {
		(void)snprintf(own, sizeof(own), "/proc/self/fd/%d", crowd.count);
		return (int)syscall(SYS_openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0);
	}
	return (int)syscall(SYS_openat, fd, path, flags, mode);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	if (crowd.count >= 0) {
		crowd_kill();
		return (ssize_t)n;
	}
	if (++writes == write_fails) {
		errno = ENOMEM;
		return -1;
	}
	return syscall(SYS_write, fd, bytes, n);
}

/* The directory of this process below the root of the hierarchy: other clones run these tests, too,
 * and one that was killed leaves its directories. */
static struct {
	int parent;
	char name[64];
} own = { .parent = -1 };

static int
open_own(int parent)
{
	(void)snprintf(own.name, sizeof(own.name), "tatami-test-remove-%d", (int)getpid());
	own.parent = parent;
	return mkdirat(parent, own.name, 0755) < 0
		       ? -1
		       : openat(parent, own.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
remove_own(void)
{
	if (own.parent >= 0)
		(void)unlinkat(own.parent, own.name, AT_REMOVEDIR);
}

/* Returns a directory in which cgroups can be made, or -1. */
static int
open_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fd_is_fstype(fd, CGROUP2_SUPER_MAGIC))
			return open_own(fd);
		close_fd(&fd);
	}
	return -1;
}

static void
check_one(int root, int unlink_at, int write_at)
{
	struct error err = ERROR_INIT;

	REQUIRE(mkdirat(root, TOP, 0755) == 0 && mkdirat(root, TOP "/a", 0755) == 0);
	REQUIRE(mkdirat(root, PATH, 0755) == 0 && mkdirat(root, PATH "/below", 0755) == 0);
	unlinks = writes = 0;
	unlink_fails = unlink_at;
	write_fails = write_at;
	CHECK_EQ(cgroup_remove(root, PATH, 5000, &err), 0, "unlink %d, write %d: %s", unlink_at,
		 write_at, err.msg);
	unlink_fails = write_fails = 0;
	CHECK_LT(faccessat(root, PATH, F_OK, 0), 0, "unlink %d, write %d: not removed", unlink_at,
		 write_at);
	(void)unlinkat(root, TOP "/a", AT_REMOVEDIR);
	REQUIRE_EQ(unlinkat(root, TOP, AT_REMOVEDIR), 0);
}

TestSuite(cgroup_remove, .fini = remove_own);

Test(cgroup_remove, single_failures_are_retried)
{
	auto_close int root = open_root();

	if (root < 0)
		cr_skip_test("no cgroup v2 to write to");
	for (int i = 1; i <= 5; i++) {
		check_one(root, i, 0);
		check_one(root, 0, i);
	}
}

/* A creation that failed half way has left the parents only. */
Test(cgroup_remove, parents_without_the_cgroup_are_removed)
{
	auto_close int root = open_root();
	struct error err = ERROR_INIT;

	if (root < 0 || mkdirat(root, OTHER, 0755) < 0)
		cr_skip_test("no cgroup v2 to write to");
	REQUIRE_EQ(mkdirat(root, OTHER "/a", 0755), 0);
	CHECK_OK(cgroup_remove(root, OTHER "/a/b/c", 1000, &err), &err);
	CHECK_LT(faccessat(root, OTHER "/a", F_OK, 0), 0);
	(void)unlinkat(root, OTHER "/a", AT_REMOVEDIR);
	REQUIRE_EQ(unlinkat(root, OTHER, AT_REMOVEDIR), 0);
}

/* Eight processes that end one after the other, every 300 ms, while the timeout is 2 s. */
Test(cgroup_remove, the_timeout_is_that_without_progress)
{
	auto_close int root = open_root();
	struct error err = ERROR_INIT;
	pid_t test = getpid();
	uint64_t begin;
	char text[16];
	int result;

	if (root < 0 || mkdirat(root, CROWDED, 0755) < 0)
		cr_skip_test("no cgroup v2 to write to");
	for (crowd.left = 0; crowd.left < CROWD; crowd.left++) {
		pid_t pid = fork();

		REQUIRE_GE(pid, 0);
		if (pid == 0) {
			die_with_parent(test);
			for (;;)
				(void)pause();
		}
		crowd.pids[crowd.left] = pid;
		(void)snprintf(text, sizeof(text), "%d", (int)pid);
		REQUIRE_EQ(write_text_at(root, CROWDED "/cgroup.procs", text), 0);
	}
	crowd.count = memfd_create("count", MFD_CLOEXEC);
	REQUIRE_GE(crowd.count, 0);
	crowd_note();
	begin = monotonic_ns();
	result = cgroup_remove(root, CROWDED, 2000, &err);
	/* Criterion writes, too. */
	crowd.count = -1;
	CHECK_OK(result, &err);
	CHECK_GE(elapsed_ms(begin), 2000, "too short for a test of the timeout");
	CHECK_EQ(crowd.left, 0);
	CHECK_LT(faccessat(root, CROWDED, F_OK, 0), 0);
}
