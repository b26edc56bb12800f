/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of the container to limit, in a fake cgroup tree. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/cgroup/pressure.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define MIB (1024ull * 1024)

static char dir[40];
static int root;
static struct pressure_cgroup cgroups[] = {
	{ .path = "pods/pause" },
	{ .path = "pods/web" },
	{ .path = "pods/bomb" },
	{ .path = "pods/gone" },
};

/* The next write lasts until a signal arrives, like the kernel's of a limit below the usage. */
static bool is_slow;

/* Replaces the function of the C library. */
ssize_t
write(int fd, const void *bytes, size_t n)
{
	if (is_slow) {
		is_slow = false;
		(void)pause();
	}
	return syscall(SYS_write, fd, bytes, n);
}

static void
put(const char *path, const char *file, const char *text)
{
	char name[128];
	auto_close int fd = -1;

	(void)mkdirat(root, path, 0755);
	(void)snprintf(name, sizeof(name), "%s/%s", path, file);
	fd = openat(root, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	REQUIRE_GE(fd, 0, "%s", name);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

/* Sets the files of a cgroup that uses `used` bytes, plus `cache` bytes of page cache. max 0: no
 * limit. */
static void
use(const char *path, uint64_t used, uint64_t cache, uint64_t max)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(used + cache));
	put(path, "memory.current", text);
	(void)snprintf(text, sizeof(text),
		       "anon %llu\nfile 1\ninactive_file %llu\nactive_file 1000\n"
		       "slab_reclaimable 24\n",
		       (unsigned long long)used, (unsigned long long)cache - 1024);
	put(path, "memory.stat", text);
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)max);
	put(path, "memory.max", max ? text : "max\n");
}

static void
setup(void)
{
	strcpy(dir, "/tmp/test-pressure-XXXXXX");
	REQUIRE(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(root, 0);
	use("pods", 100 * MIB, 20 * MIB, 110 * MIB);
	put("pods", "memory.high", "100000000\n");
	use("pods/pause", 1 * MIB, 1 * MIB, 0);
	use("pods/web", 30 * MIB, 15 * MIB, 0);
	use("pods/bomb", 69 * MIB, 4 * MIB, 0);
}

static void
teardown(void)
{
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	close(root);
	REQUIRE_OK(path_remove_tree(tmp, dir + strlen("/tmp/"), &err), &err);
}

TestSuite(pressure, .init = setup, .fini = teardown);

/* The limit is less than the largest cgroup uses, and leaves the others room below memory.high. */
Test(pressure, largest_is_chosen)
{
	struct pressure_choice c;

	REQUIRE_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 2);
	CHECK_EQ(c.own, UINT64_MAX);
	CHECK_LT(c.limit, 69 * MIB);
	CHECK_LT(c.limit + 31 * MIB, 100000000);
	CHECK_GT(c.limit, 40 * MIB);
}

/* The limit is at least half of the usage, however much the others use: the kernel must be able to
 * reach it. */
Test(pressure, limit_is_at_least_half_of_usage)
{
	struct pressure_choice c;

	use("pods/web", 60 * MIB, 15 * MIB, 0);
	use("pods", 130 * MIB, 20 * MIB, 160 * MIB);
	put("pods", "memory.high", "100000000\n");
	REQUIRE_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 2);
	CHECK_GE(c.limit, 34 * MIB, "%lu", (unsigned long)c.limit);
	CHECK_LE(c.limit, 35 * MIB, "%lu", (unsigned long)c.limit);
}

/* A large cgroup without a limit of its own is preferred to one that was granted its limit. */
Test(pressure, cgroup_without_limit_is_preferred)
{
	struct pressure_choice c;

	use("pods/bomb", 69 * MIB, 4 * MIB, 80 * MIB);
	REQUIRE_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 1);
	use("pods/web", 5 * MIB, 15 * MIB, 0);
	use("pods", 75 * MIB + 20 * MIB, 20 * MIB, 110 * MIB);
	REQUIRE_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 2);
	CHECK_EQ(c.own, 80 * MIB);
}

/* No cgroup is chosen if the kernel can reclaim page cache, or if none is large. */
Test(pressure, none_is_chosen)
{
	struct pressure_choice c;

	use("pods", 60 * MIB, 60 * MIB, 110 * MIB);
	use("pods/bomb", 29 * MIB, 80 * MIB, 0);
	CHECK_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 0, "page cache");
	use("pods", 100 * MIB, 0 * MIB + 1024, 110 * MIB);
	CHECK_EQ(pressure_choose(root, cgroups, 1, &c), 0, "small cgroups");
	CHECK_EQ(pressure_choose(root, cgroups, 0, &c), 0);
	put("pods", "memory.high", "max\n");
	CHECK_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), -1);
}

Test(pressure, limit_stays_until_usage_falls)
{
	char text[32];
	bool mine;

	REQUIRE_EQ(pressure_set_limit(root, "pods/bomb", 60 * MIB), 0);
	REQUIRE_GT(read_text_at(root, "pods/bomb/memory.max", text, sizeof(text)), 0);
	CHECK_STR(text, "62914560");
	CHECK(!pressure_is_over(root, "pods/bomb", 60 * MIB, &mine));
	CHECK(mine);
	/* more than half of the limit: it would be reached again at once */
	use("pods/bomb", 40 * MIB, 10 * MIB, 60 * MIB);
	CHECK(!pressure_is_over(root, "pods/bomb", 60 * MIB, &mine));
	use("pods/bomb", 20 * MIB, 30 * MIB, 60 * MIB);
	CHECK(pressure_is_over(root, "pods/bomb", 60 * MIB, &mine));
	CHECK(mine);
	/* UpdateContainer has set another limit */
	use("pods/bomb", 50 * MIB, 3 * MIB, 70 * MIB);
	CHECK(pressure_is_over(root, "pods/bomb", 60 * MIB, &mine));
	CHECK(!mine);
	CHECK(pressure_is_over(root, "pods/gone", 60 * MIB, &mine));
	CHECK(!mine);
	REQUIRE_EQ(pressure_set_limit(root, "pods/bomb", UINT64_MAX), 0);
	REQUIRE_GT(read_text_at(root, "pods/bomb/memory.max", text, sizeof(text)), 0);
	CHECK(strncmp(text, "max", 3) == 0);
	CHECK_EQ(pressure_set_limit(root, "pods/gone", 1), -1);
}

/* A container that reached the limit of an earlier choice, and is still the largest, is chosen
 * again instead of a smaller one without a limit. */
Test(pressure, held_cgroup_is_chosen_again)
{
	struct pressure_choice c;

	use("pods/bomb", 69 * MIB, 4 * MIB, 70 * MIB);
	cgroups[2].is_held = true;
	REQUIRE_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 2);
	CHECK_EQ(c.own, 70 * MIB);
	CHECK_LT(c.limit, 69 * MIB);
}

/* A container that is still above a limit is waited for: the next one is not limited instead. */
Test(pressure, none_is_chosen_while_one_is_above_its_limit)
{
	struct pressure_choice c;

	use("pods/bomb", 69 * MIB, 4 * MIB, 50 * MIB);
	CHECK_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 0);
	/* The kernel counts in batches, so usage may exceed the limit by a little. */
	use("pods/bomb", 52 * MIB, 4 * MIB, 50 * MIB);
	CHECK_EQ(pressure_choose(root, cgroups, ARRAY_LEN(cgroups), &c), 1);
	CHECK_EQ(c.index, 1);
}

/* The kernel would kill and wait without yielding the processor. */
Test(pressure, write_of_a_limit_ends)
{
	struct itimerval left;
	char text[32];

	is_slow = true;
	REQUIRE_EQ(pressure_set_limit(root, "pods/bomb", 60 * MIB), 0);
	CHECK(!is_slow);
	REQUIRE_GT(read_text_at(root, "pods/bomb/memory.max", text, sizeof(text)), 0);
	CHECK_STR(text, "62914560");
	REQUIRE_EQ(getitimer(ITIMER_REAL, &left), 0);
	CHECK_EQ(left.it_value.tv_sec, 0);
	CHECK_EQ(left.it_value.tv_usec, 0);
}

Test(pressure, event_count)
{
	auto_close int fd = -1;
	uint64_t n;

	put("pods", "memory.events.local", "low 9\nhigh 3\nmax 4\noom 7\noom_kill 7\n");
	fd = openat(root, "pods/memory.events.local", O_RDONLY | O_CLOEXEC);
	REQUIRE_EQ(pressure_events(fd, &n), 0);
	CHECK_EQ(n, 7);
}
