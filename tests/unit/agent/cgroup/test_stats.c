/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of a fake cgroup directory with valid and malformed files; restoring settings;
 * freezing a real cgroup. */
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
#include "agent/cgroup/freeze.h"
#include "agent/cgroup/oom.h"
#include "agent/cgroup/settings.h"
#include "agent/cgroup/stats.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"

static char dir[32];

static int
make_dir(void)
{
	int fd;

	strcpy(dir, "/tmp/test-stats-XXXXXX");
	REQUIRE(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	return fd;
}

static void
remove_dir(int fd)
{
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	close(fd);
	REQUIRE_OK(path_remove_tree(tmp, dir + strlen("/tmp/"), &err), &err);
}

static void
put(int fd, const char *name, const char *text)
{
	auto_close int file = openat(fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	REQUIRE_GE(file, 0);
	REQUIRE_EQ(write_full(file, text, strlen(text)), 0);
}

/* Returns the value of a record, or NONE. */
static uint64_t
value(const struct stats *s, enum stat_kind kind, const char *name, uint32_t major)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].kind == kind && strcmp(s->list[i].name, name) == 0 &&
		    s->list[i].major == major)
			return s->list[i].value;
	}
	return UINT64_MAX - 1;
}

#define NONE (UINT64_MAX - 1)

Test(stats, all_files)
{
	int fd = make_dir();
	struct error err = ERROR_INIT;
	struct stats s = { 0 };

	put(fd, "cpu.stat",
	    "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnice_usec 1\nnr_periods 7\n"
	    "nr_throttled 3\nthrottled_usec 12\n");
	put(fd, "memory.current", "4096\n");
	put(fd, "memory.peak", "8192\n");
	put(fd, "memory.max", "max\n");
	put(fd, "memory.swap.current", "0\n");
	put(fd, "memory.swap.max", "1024\n");
	put(fd, "memory.events", "low 0\nhigh 1\nmax 9\noom 2\noom_kill 1\n");
	put(fd, "memory.swap.events", "high 0\nmax 1\nfail 4\n");
	put(fd, "memory.stat", "anon 100\nfile 200\nkernel 300\n");
	put(fd, "memory.pressure",
	    "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 "
	    "avg300=0.00 total=66\n");
	put(fd, "pids.current", "3\n");
	put(fd, "pids.max", "10\n");
	put(fd, "io.stat",
	    "254:16 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n259:1 rbytes=5 "
	    "cost.usage=3\n");
	put(fd, "hugetlb.2MB.current", "2097152\n");
	put(fd, "hugetlb.2MB.events", "max 5\n");
	put(fd, "hugetlb.2MB.rsvd.current", "1\n");
	put(fd, "hugetlb.1GB.current", "0\n");
	REQUIRE_OK(cgroup_stats_read(fd, &s, &err), &err);
	CHECK_EQ(value(&s, STAT_CPU_TOTAL, "", 0), 1500000);
	CHECK_EQ(value(&s, STAT_CPU_USER, "", 0), 1000000);
	CHECK_EQ(value(&s, STAT_CPU_SYSTEM, "", 0), 500000);
	CHECK_EQ(value(&s, STAT_CPU_PERIODS, "", 0), 7);
	CHECK_EQ(value(&s, STAT_CPU_THROTTLED, "", 0), 3);
	CHECK_EQ(value(&s, STAT_CPU_THROTTLED_TIME, "", 0), 12000);
	CHECK_EQ(value(&s, STAT_MEMORY_USAGE, "", 0), 4096);
	CHECK_EQ(value(&s, STAT_MEMORY_PEAK, "", 0), 8192);
	CHECK_EQ(value(&s, STAT_MEMORY_LIMIT, "", 0), UINT64_MAX);
	CHECK_EQ(value(&s, STAT_MEMORY_FAILCNT, "", 0), 9);
	CHECK_EQ(value(&s, STAT_SWAP_USAGE, "", 0), 0);
	CHECK_EQ(value(&s, STAT_SWAP_PEAK, "", 0), NONE);
	CHECK_EQ(value(&s, STAT_SWAP_LIMIT, "", 0), 1024);
	CHECK_EQ(value(&s, STAT_SWAP_FAILCNT, "", 0), 4);
	CHECK_EQ(value(&s, STAT_MEMORY_STAT, "file", 0), 200);
	CHECK_EQ(value(&s, STAT_MEMORY_STAT, "pressure_some_total_usec", 0), 77);
	CHECK_EQ(value(&s, STAT_MEMORY_STAT, "pressure_full_total_usec", 0), 66);
	CHECK_EQ(value(&s, STAT_PIDS_CURRENT, "", 0), 3);
	CHECK_EQ(value(&s, STAT_PIDS_LIMIT, "", 0), 10);
	CHECK_EQ(value(&s, STAT_IO, "wbytes", 254), 200);
	CHECK_EQ(value(&s, STAT_IO, "rbytes", 259), 5);
	CHECK_EQ(value(&s, STAT_IO, "rbytes", 7), NONE);
	CHECK_EQ(value(&s, STAT_HUGETLB_USAGE, "2MB", 0), 2097152);
	CHECK_EQ(value(&s, STAT_HUGETLB_FAILCNT, "2MB", 0), 5);
	CHECK_EQ(value(&s, STAT_HUGETLB_USAGE, "1GB", 0), 0);
	CHECK_EQ(value(&s, STAT_HUGETLB_USAGE, "2MB.rsvd", 0), NONE);
	free(s.list);
	remove_dir(fd);
}

/* Malformed files are skipped. */
Test(stats, malformed_files)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		"max",
		"-1",
		"18446744073709551616",
		"usage_usec",
		"x y z",
		"1:2:3 rbytes=1",
		"8:0 rbytes= =5 rbytes=x",
		"some total=",
		"\xff\xfe 1",
	};
	static const char *const files[] = {
		"cpu.stat",         "memory.current",  "memory.events",      "memory.stat",
		"memory.pressure",  "io.stat",         "pids.current",       "hugetlb.2MB.current",
		"hugetlb..current", "hugetlb.current", "memory.swap.events",
	};
	char *huge = malloc(200001);

	memset(huge, 'a', 200000);
	huge[200000] = '\0';
	for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
		int fd = make_dir();
		struct error err = ERROR_INIT;
		struct stats s = { 0 };

		for (size_t f = 0; f < ARRAY_LEN(files); f++)
			put(fd, files[f], i < ARRAY_LEN(texts) ? texts[i] : huge);
		CHECK_OK(cgroup_stats_read(fd, &s, &err), &err);
		free(s.list);
		remove_dir(fd);
	}
	free(huge);
}

Test(stats, interfaces)
{
	int fd = make_dir();
	struct error err = ERROR_INIT;
	struct stats s = { 0 };

	REQUIRE_EQ(mkdirat(fd, "thread-self", 0755), 0);
	REQUIRE_EQ(mkdirat(fd, "thread-self/net", 0755), 0);
	put(fd, "thread-self/net/dev",
	    "Inter-|   Receive                                                |  Transmit\n"
	    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
	    "errs drop fifo colls carrier compressed\n"
	    "    lo:     100       1    0    0    0     0          0         0      100       1    "
	    "0    0    0     0       0          0\n"
	    "  eth0:    1000      10    1    2    0     0          0         0     2000      20    "
	    "3    4    0     0       0          0\n"
	    "  bad0:    1000      10\n"
	    "a\xffz:    1001      10    1    2    0     0          0         0     2000      20    "
	    "3    4    0     0       0          0\n");
	REQUIRE_OK(net_stats_read(fd, &s, &err), &err);
	CHECK_EQ(s.n, (size_t)(2 * STAT_NET_FIELDS));
	/* runtimes decode UTF-8 only */
	CHECK_EQ(value(&s, STAT_NET, "a?z", STAT_RX_BYTES), 1001);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_RX_BYTES), 1000);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_RX_DROPPED), 2);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_TX_BYTES), 2000);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_TX_PACKETS), 20);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_TX_ERRORS), 3);
	CHECK_EQ(value(&s, STAT_NET, "eth0", STAT_TX_DROPPED), 4);
	free(s.list);
	remove_dir(fd);
}

Test(oom, counter)
{
	static const struct {
		const char *text;
		int result;
		uint64_t kills;
	} rows[] = {
		{ "low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\noom_group_kill 1\n", 0, 3 },
		{ "oom_kill 18446744073709551615", 0, UINT64_MAX },
		{ "low 0\noom 1\n", -1, 0 },
		{ "", -1, 0 },
		{ "oom_kill x\n", -1, 0 },
	};
	int fd = make_dir();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t kills = 0;
		int file;

		put(fd, "memory.events", rows[i].text);
		file = openat(fd, "memory.events", O_RDONLY | O_CLOEXEC);
		CHECK_EQ(cgroup_oom_kills(file, &kills), rows[i].result, "row %zu", i);
		CHECK_EQ(kills, rows[i].kills, "row %zu", i);
		close(file);
	}
	remove_dir(fd);
}

static void
expect_file(int fd, const char *name, const char *content)
{
	char text[128] = "";

	(void)read_text_at(fd, name, text, sizeof(text));
	CHECK_STR(text, content, "%s: \"%s\"", name, text);
}

/* A fake file keeps the rest of a longer value, so all values of a file have the same length. */
Test(settings, restored_after_failure)
{
	int fd = make_dir();
	struct error err = ERROR_INIT;
	struct cgroup_settings s = { 0 };

	put(fd, "memory.max", "1111\n");
	put(fd, "cpu.weight", "100\n");
	put(fd, "io.max", "8:16 rbps=5 wbps=max riops=max wiops=max\n");
	REQUIRE_EQ(settings_add(&s, SETTING_LIMITS, "f", "memory.max", &err, "%d", 2222), 0);
	REQUIRE_EQ(settings_add(&s, SETTING_LIMITS, "f", "cpu.weight", &err, "200"), 0);
	REQUIRE_EQ(settings_add(&s, SETTING_LIMITS, "f", "io.max", &err, "8:16 rbps=9"), 0);
	REQUIRE_EQ(settings_add(&s, SETTING_LOOSENS, "f", "memory.swap.max", &err, "max"), 0);
	REQUIRE_OK(settings_apply(&s, fd, true, &err), &err);
	expect_file(fd, "memory.max", "2222");
	put(fd, "memory.max", "1111\n");
	put(fd, "cpu.weight", "100\n");
	put(fd, "io.max", "8:16 rbps=5 wbps=max riops=max wiops=max\n");
	REQUIRE_EQ(settings_add(&s, SETTING_LIMITS, "the.field", "pids.max", &err, "5"), 0);
	for (size_t i = 0; i < s.n; i++) {
		free(s.list[i].former);
		s.list[i].former = NULL;
	}
	CHECK_EQ(settings_apply(&s, fd, true, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
	CHECK(strstr(err.msg, "the.field") && strstr(err.msg, "pids controller"), "%s", err.msg);
	expect_file(fd, "memory.max", "1111");
	expect_file(fd, "cpu.weight", "100");
	expect_file(fd, "io.max", "8:16 rbps=5 wbps=max riops=max wiops=max");
	settings_release(&s);
	remove_dir(fd);
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

Test(freeze, freeze_and_thaw)
{
	auto_close int root = cgroup_root();
	struct error err = ERROR_INIT;
	auto_close int fd = -1;
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	char path[64], text[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "pods/test-freeze-%d", (int)getpid());
	CHECK_EQ(cgroup_freeze(root, path, 1000, &err), -1);
	fd = cgroup_create(root, path, &err);
	REQUIRE_GE(fd, 0, "%s", err.msg);
	/* an empty cgroup: nothing to wait for */
	CHECK_OK(cgroup_freeze(root, path, 1000, &err), &err);
	CHECK_OK(cgroup_thaw(root, path, 1000, &err), &err);
	args.cgroup = (uint64_t)fd;
	pid = sys_clone3(&args);
	if (pid == 0) {
		for (;;)
			(void)getppid();
	}
	REQUIRE_GT(pid, 0);
	REQUIRE_OK(cgroup_freeze(root, path, 5000, &err), &err);
	REQUIRE_GT(read_text_at(fd, "cgroup.events", text, sizeof(text)), 0);
	CHECK_HAS(text, "frozen 1");
	REQUIRE_OK(cgroup_thaw(root, path, 5000, &err), &err);
	REQUIRE_GT(read_text_at(fd, "cgroup.events", text, sizeof(text)), 0);
	CHECK_HAS(text, "frozen 0");
	REQUIRE_OK(cgroup_freeze(root, path, 5000, &err), &err);
	REQUIRE_OK(cgroup_remove(root, path, 5000, &err), &err);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)unlinkat(root, "pods", AT_REMOVEDIR);
}
