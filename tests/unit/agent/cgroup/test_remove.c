/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a cgroup while one system call fails: each unlinkat and each write in turn. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/magic.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define TOP  "tatami-test-remove"
#define PATH TOP "/a/b"
/* Tests run in parallel. */
#define OTHER "tatami-test-remove-parents"

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

ssize_t
write(int fd, const void *bytes, size_t n)
{
	if (++writes == write_fails) {
		errno = ENOMEM;
		return -1;
	}
	return syscall(SYS_write, fd, bytes, n);
}

static int
open_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fd_is_fstype(fd, CGROUP2_SUPER_MAGIC))
			return fd;
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

Test(cgroup_remove, single_failures_are_retried)
{
	auto_close int root = open_root();

	if (root < 0 || mkdirat(root, TOP ".probe", 0755) < 0)
		cr_skip_test("no cgroup v2 to write to");
	(void)unlinkat(root, TOP ".probe", AT_REMOVEDIR);
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
