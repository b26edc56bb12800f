/* SPDX-License-Identifier: Apache-2.0 */
/* Adjusting to the size of memory: limits in a fake tree, and real tmpfs mounts. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/guest/memory_limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

static struct tree t;

static void
expect(int root, const char *path, const char *want)
{
	char text[64];

	tree_get(root, path, text, sizeof(text));
	CHECK_STR(text, want, "%s is %s", path, text);
}

static void
fill_in(void)
{
	tree_make(&t);
	tree_put(t.roots.proc, "meminfo", "MemTotal: 1048576 kB\nMemAvailable: 1000000 kB\n");
	tree_put(t.roots.proc, "cmdline", "quiet sysctl.fs.nr_open=1\n");
	tree_put(t.roots.proc, "self/mountinfo", "");
	tree_put(t.roots.proc, "sys/kernel/threads-max", "7\n");
	tree_put(t.roots.proc, "sys/fs/nr_open", "7\n");
	tree_put(t.roots.cgroup, "pods/pids.max", "7\n");
	tree_put(t.roots.cgroup, "pods/memory.max", "1\n");
}

Test(memory_limits, guest_of_tatami_init)
{
	uint64_t total = 1 << 28;

	fill_in();
	memory_limits_follow(&t.roots, true, &total, NULL);
	CHECK_EQ(total, 1 << 30);
	expect(t.roots.proc, "sys/kernel/threads-max", "8192");
	expect(t.roots.proc, "sys/fs/nr_open", "7");
	expect(t.roots.cgroup, "pods/pids.max", "7168");
	tree_remove(&t);
}

/* Limits of pods are adjusted only if tatami's init has set them. */
Test(memory_limits, pods_without_limit)
{
	uint64_t total = 1 << 28;

	fill_in();
	tree_put(t.roots.cgroup, "pods/memory.max", "max\n");
	memory_limits_follow(&t.roots, true, &total, NULL);
	expect(t.roots.cgroup, "pods/memory.max", "max");
	expect(t.roots.cgroup, "pods/pids.max", "7");
	tree_remove(&t);
}

/* With another init, nothing changes until memory changes, and then no limit is lowered. */
Test(memory_limits, guest_of_another_init)
{
	uint64_t total = 1 << 30;

	fill_in();
	memory_limits_follow(&t.roots, false, &total, NULL);
	expect(t.roots.proc, "sys/kernel/threads-max", "7");
	total = 1 << 28;
	memory_limits_follow(&t.roots, false, &total, NULL);
	expect(t.roots.proc, "sys/kernel/threads-max", "8192");
	tree_put(t.roots.proc, "sys/kernel/threads-max", "9000\n");
	total = 1 << 28;
	memory_limits_follow(&t.roots, false, &total, NULL);
	expect(t.roots.proc, "sys/kernel/threads-max", "9000");
	tree_remove(&t);
}

/* Returns the size of a tmpfs in pages. Half of an odd number is rounded up. */
static uint64_t
pages_of(const char *path)
{
	struct statfs fs;

	REQUIRE_EQ(statfs(path, &fs), 0, "%s", path);
	return (uint64_t)fs.f_blocks;
}

static uint64_t
inodes_of(const char *path)
{
	struct statfs fs;

	REQUIRE_EQ(statfs(path, &fs), 0, "%s", path);
	return (uint64_t)fs.f_files;
}

/* Makes mounts private to this process. Returns whether that is allowed. */
static bool
own_mounts(void)
{
	return getuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* tmpfs mounts are resized together with the limits. */
Test(memory_limits, tmpfs_of_a_growing_guest)
{
	uint64_t total = 1 << 28, page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!own_mounts())
		cr_skip_test("mounting needs root");
	fill_in();
	REQUIRE_EQ(mount("none", "/mnt", "tmpfs", 0, "size=128m"), 0);
	close_fd(&t.roots.root);
	t.roots.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree_put(t.roots.proc, "self/mountinfo",
		 "900 1 0:90 / /mnt rw,relatime - tmpfs none rw,size=131072k\n");
	memory_limits_follow(&t.roots, true, &total, NULL);
	CHECK_EQ(pages_of("/mnt"), (1 << 29) / page, "%lu", pages_of("/mnt"));
	REQUIRE_EQ(umount2("/mnt", MNT_DETACH), 0);
	tree_remove(&t);
}

/* A tmpfs of the default size is resized, one with another size is not. */
Test(memory_limits, tmpfs_sizes)
{
	struct error err = ERROR_INIT;
	struct sysinfo info;
	struct roots roots = { -1, -1, -1, -1, -1, -1 };
	uint64_t total, page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!own_mounts())
		cr_skip_test("mounting needs root");
	REQUIRE_EQ(sysinfo(&info), 0);
	total = (uint64_t)info.totalram * info.mem_unit;
	REQUIRE_EQ(mount("none", "/tmp", "tmpfs", 0, ""), 0);
	REQUIRE(mkdir("/tmp/a b", 0755) == 0 && mkdir("/tmp/fixed", 0755) == 0);
	REQUIRE_EQ(mount("none", "/tmp/a b", "tmpfs", 0, "mode=1777"), 0);
	REQUIRE_EQ(mount("none", "/tmp/fixed", "tmpfs", 0, "size=1m"), 0);
	roots.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	roots.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(memory_limits_tmpfs(&roots, total, total * 2, &err), &err);
	CHECK_EQ(pages_of("/tmp/a b"), total / page, "%lu", pages_of("/tmp/a b"));
	CHECK_EQ(inodes_of("/tmp/a b"), total / page, "%lu", inodes_of("/tmp/a b"));
	CHECK_EQ(pages_of("/tmp/fixed"), (1 << 20) / page);
	CHECK_OK(memory_limits_tmpfs(&roots, total * 2, total, &err), &err);
	CHECK_EQ(pages_of("/tmp/a b"), (total / 2 + page - 1) / page);
	close_fd(&roots.root);
	close_fd(&roots.proc);
}
