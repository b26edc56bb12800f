/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions of limits, limits written to a fake cgroup directory, and real cgroups where the
 * machine has them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"

Test(limits, cpu_weight)
{
	static const struct {
		uint64_t shares, weight;
	} rows[] = { { 0, 1 },
		     { 1, 1 },
		     { 2, 1 },
		     { 3, 2 },
		     { 512, 59 },
		     { 1024, 100 },
		     { 2048, 174 },
		     { 102400, 4429 },
		     { 262143, 10000 },
		     { 262144, 10000 },
		     { UINT64_MAX, 10000 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_EQ(cgroup_cpu_weight(rows[i].shares), rows[i].weight);
}

Test(limits, cpu_max)
{
	static const struct {
		int64_t quota;
		uint64_t period;
		const char *expected;
	} rows[] = {
		{ 0, 0, NULL },
		{ 50000, 0, "50000 100000" },
		{ 50000, 200000, "50000 200000" },
		{ -1, 100000, "max 100000" },
		{ 0, 100000, "max 100000" },
		{ -1, 0, "max 100000" },
	};
	char value[CGROUP_VALUE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool given = cgroup_cpu_max(rows[i].quota, rows[i].period, value);

		CHECK_EQ(given, rows[i].expected != NULL);
		if (given && rows[i].expected)
			CHECK_STR(value, rows[i].expected);
	}
}

Test(limits, swap)
{
	static const struct {
		int64_t swap, memory;
		int result;
		const char *expected;
	} rows[] = {
		{ 0, 0, 0, NULL },     { 0, 100, 0, NULL },   { 300, 100, 1, "200" },
		{ 100, 100, 1, "0" },  { -1, 100, 1, "max" }, { -1, 0, 1, "max" },
		{ 0, -1, 1, "max" },   { 50, 100, -1, NULL }, { 300, 0, -1, NULL },
		{ 300, -1, -1, NULL },
	};
	char value[CGROUP_VALUE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		CHECK_EQ(cgroup_swap_max(rows[i].swap, rows[i].memory, value, &err), rows[i].result,
			 "row %zu", i);
		if (rows[i].expected)
			CHECK_STR(value, rows[i].expected);
		if (rows[i].result < 0)
			CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	}
}

/* Makes a directory with these files; those of missing controllers are left out. */
static int
fake_cgroup(char *dir, const char *const *files)
{
	int fd;

	REQUIRE(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	for (; *files; files++) {
		int file = openat(fd, *files, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		REQUIRE_GE(file, 0);
		close(file);
	}
	return fd;
}

static void
remove_fake(int fd, const char *dir)
{
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	close(fd);
	REQUIRE_OK(path_remove_tree(tmp, dir + strlen("/tmp/"), &err), &err);
}

static void
expect_file(int fd, const char *name, const char *content)
{
	char text[128] = "";

	(void)read_text_at(fd, name, text, sizeof(text));
	CHECK_STR(text, content, "%s: \"%s\"", name, text);
}

Test(limits, files_written)
{
	static const char *const files[] = {
		"memory.max", "memory.swap.max", "memory.low",  "cpu.weight",  "cpu.max",
		"pids.max",   "hugetlb.2MB.max", "cpuset.cpus", "cpuset.mems", NULL,
	};
	Grpc__LinuxHugepageLimit small = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, big = small,
				 *pages[] = { &small, &big };
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory m = GRPC__LINUX_MEMORY__INIT;
	Grpc__LinuxCPU c = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxPids p = GRPC__LINUX_PIDS__INIT;
	char dir[] = "/tmp/test-limits-XXXXXX";
	struct error err = ERROR_INIT;
	int fd = fake_cgroup(dir, files);

	CHECK_OK(cgroup_limits_apply(fd, -1, NULL, &err), &err);
	m.limit = 1 << 20;
	m.swap = 3 << 20;
	m.reservation = 1 << 19;
	c.shares = 1024;
	c.quota = 20000;
	c.cpus = "0-1";
	c.mems = "0";
	p.limit = 100;
	small.pagesize = "2MB";
	small.limit = 2 << 20;
	/* a missing page size, without a limit */
	big.pagesize = "1GB";
	r.memory = &m;
	r.cpu = &c;
	r.pids = &p;
	r.hugepagelimits = pages;
	r.n_hugepagelimits = 2;
	REQUIRE_OK(cgroup_limits_apply(fd, -1, &r, &err), &err);
	expect_file(fd, "memory.max", "1048576");
	expect_file(fd, "memory.swap.max", "2097152");
	expect_file(fd, "memory.low", "524288");
	expect_file(fd, "cpu.weight", "100");
	expect_file(fd, "cpu.max", "20000 100000");
	expect_file(fd, "cpuset.cpus", "0-1");
	expect_file(fd, "cpuset.mems", "0");
	expect_file(fd, "pids.max", "100");
	expect_file(fd, "hugetlb.2MB.max", "2097152");
	p.limit = -1;
	m = (Grpc__LinuxMemory)GRPC__LINUX_MEMORY__INIT;
	m.limit = -1;
	REQUIRE_OK(cgroup_limits_apply(fd, -1, &r, &err), &err);
	remove_fake(fd, dir);
}

/* A limit whose controller is missing is an error that names the controller; removing a limit is
 * not. */
Test(limits, missing_controllers)
{
	static const char *const none[] = { NULL };
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory m = GRPC__LINUX_MEMORY__INIT;
	Grpc__LinuxCPU c = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxPids p = GRPC__LINUX_PIDS__INIT;
	char dir[] = "/tmp/test-limits-XXXXXX";
	struct error err = ERROR_INIT;
	int fd = fake_cgroup(dir, none);

	m.limit = -1;
	p.limit = -1;
	c.quota = -1;
	r.memory = &m;
	r.pids = &p;
	r.cpu = &c;
	CHECK_OK(cgroup_limits_apply(fd, -1, &r, &err), &err);
	p.limit = 5;
	CHECK_EQ(cgroup_limits_apply(fd, -1, &r, &err), -1);
	CHECK_HAS(err.msg, "pids controller");
	m.limit = 4096;
	CHECK_EQ(cgroup_limits_apply(fd, -1, &r, &err), -1);
	CHECK_HAS(err.msg, "memory controller");
	m.limit = 0;
	c.shares = 10;
	CHECK_EQ(cgroup_limits_apply(fd, -1, &r, &err), -1);
	CHECK_HAS(err.msg, "cpu controller");
	remove_fake(fd, dir);
}

static int
cgroup_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fd_is_fstype(fd, CGROUP2_SUPER_MAGIC) && geteuid() == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	cr_skip_test("needs root and a cgroup v2 hierarchy");
	return -1;
}

/* Starts a sleeping process in the cgroup. */
static pid_t
start_in(int fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)fd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0) {
		for (;;)
			pause();
	}
	REQUIRE_GT(pid, 0);
	return pid;
}

Test(cgroup, make_kill_remove)
{
	auto_close int root = cgroup_root();
	struct error err = ERROR_INIT;
	char path[64], deep[128], seen[CGROUP_PATH_MAX];
	auto_close int fd = -1;
	auto_close int inner = -1;
	auto_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid, second;
	int status;

	snprintf(path, sizeof(path), "pods/test-%d/a/c1", (int)getpid());
	snprintf(deep, sizeof(deep), "%s/x/y", path);
	fd = cgroup_create(root, path, &err);
	REQUIRE_GE(fd, 0, "%s", err.msg);
	/* an empty one is reused */
	close(cgroup_create(root, path, &err));
	REQUIRE(!cgroup_is_populated(root, path));
	pid = start_in(fd);
	REQUIRE(cgroup_is_populated(root, path));
	REQUIRE_EQ(cgroup_of_process(proc, pid, seen, sizeof(seen)), 0);
	REQUIRE_STR(seen, path);
	REQUIRE_EQ(cgroup_create(root, path, &err), -1);
	REQUIRE_EQ(err.code, ERROR_ALREADY_EXISTS);
	/* cgroups made by the container below its own are removed, too */
	inner = cgroup_create(root, deep, &err);
	REQUIRE_GE(inner, 0, "%s", err.msg);
	second = start_in(inner);
	REQUIRE_OK(cgroup_remove(root, path, 5000, &err), &err);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	REQUIRE_EQ(waitpid(second, &status, 0), second);
	REQUIRE_EQ(cgroup_open(root, path), -1);
	/* parents that are empty now are removed, except the first */
	snprintf(path, sizeof(path), "pods/test-%d", (int)getpid());
	REQUIRE_EQ(cgroup_open(root, path), -1);
	REQUIRE_OK(cgroup_remove(root, path, 5000, &err), &err);
	REQUIRE_EQ(cgroup_kill(root, path), -1);
	REQUIRE_EQ(errno, ENOENT);
}

/* A worker that was killed may have removed the container's own cgroup and some of its parents. */
Test(cgroup, remove_continues_with_parents)
{
	auto_close int root = cgroup_root();
	struct error err = ERROR_INIT;
	char top[32], middle[48], path[64];

	snprintf(top, sizeof(top), "pods/test-%d", (int)getpid());
	snprintf(middle, sizeof(middle), "%s/a", top);
	snprintf(path, sizeof(path), "%s/b/c1", middle);
	close(cgroup_create(root, middle, &err));
	REQUIRE_OK(cgroup_remove(root, path, 5000, &err), &err);
	REQUIRE_EQ(cgroup_open(root, middle), -1);
	REQUIRE_EQ(cgroup_open(root, top), -1);
	(void)unlinkat(root, "pods", AT_REMOVEDIR);
}

/* A container may make any number of cgroups, nested to any depth. */
Test(cgroup, remove_many)
{
	auto_close int root = cgroup_root();
	struct error err = ERROR_INIT;
	char path[64], name[32];
	auto_close int top = -1;
	int dir;

	snprintf(path, sizeof(path), "pods/test-%d/many", (int)getpid());
	top = cgroup_create(root, path, &err);
	REQUIRE_GE(top, 0, "%s", err.msg);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "wide%d", i);
		REQUIRE_EQ(mkdirat(top, name, 0755), 0);
	}
	dir = dup(top);
	for (int i = 0; i < 100; i++) {
		int next;

		REQUIRE_EQ(mkdirat(dir, "deep", 0755), 0);
		next = openat(dir, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		REQUIRE_GE(next, 0);
		close(dir);
		dir = next;
	}
	close(dir);
	REQUIRE_OK(cgroup_remove(root, path, 5000, &err), &err);
	(void)unlinkat(root, "pods", AT_REMOVEDIR);
}
