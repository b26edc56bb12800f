/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that depend on memory: their values, and the files written in a synthetic procfs and
 * cgroup tree. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

static const char *const names[] = {
	"pods/pids.max",
	"pods/memory.max",
	"pods/memory.high",
	"kernel.threads-max",
	"kernel.pty.reserve",
	"kernel.pty.max",
	"kernel.keys.root_maxkeys",
	"kernel.keys.root_maxbytes",
	"fs.nr_open",
	"fs.file-max",
	"fs.inotify.max_user_watches",
	"fs.inotify.max_user_instances",
	"fs.epoll.max_user_watches",
	"user.max_cgroup_namespaces",
	"user.max_ipc_namespaces",
	"user.max_mnt_namespaces",
	"user.max_net_namespaces",
	"user.max_pid_namespaces",
	"user.max_time_namespaces",
	"user.max_user_namespaces",
	"user.max_uts_namespaces",
};

static char dir[40];
static struct limits_place place;

static void
put(int root, const char *path, const char *text)
{
	char prefix[128];
	auto_close int fd = -1;

	for (size_t i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
		(void)mkdirat(root, prefix, 0755);
	}
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE_GE(fd, 0, "%s", path);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

/* The file of a row, and its directory. */
static int
file_of(const char *name, char path[static 96])
{
	if (strncmp(name, "pods/", 5) == 0) {
		(void)snprintf(path, 96, "%s", name);
		return place.cgroup;
	}
	(void)snprintf(path, 96, "sys/%s", name);
	for (char *p = path; *p; p++)
		if (*p == '.')
			*p = '/';
	return place.proc;
}

static uint64_t
now(const char *name)
{
	char path[96], text[64];
	uint64_t value = 0;
	int root = file_of(name, path);

	REQUIRE_GE(read_text_at(root, path, text, sizeof(text)), 0, "%s", path);
	REQUIRE(parse_u64(text, &value), "%s: %s", path, text);
	return value;
}

/* Creates a guest with that many bytes of memory, of which `used` are used, `pods` of them by the
 * pods. */
static void
set_memory(uint64_t total, uint64_t used, uint64_t pods)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "MemTotal:       %llu kB\nMemFree:  1 kB\nMemAvailable:   %llu kB\n",
		       (unsigned long long)total / 1024, (unsigned long long)(total - used) / 1024);
	put(place.proc, "meminfo", text);
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)pods + 3000);
	put(place.cgroup, "pods/memory.current", text);
	put(place.cgroup, "pods/memory.stat",
	    "anon 1\nfile 5000\nslab_reclaimable 1000\ninactive_file 1500\nactive_file 500\n");
}

static void
setup(void)
{
	int root;

	strcpy(dir, "/tmp/test-limits-XXXXXX");
	REQUIRE(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(root >= 0 && mkdirat(root, "proc", 0755) == 0 &&
		mkdirat(root, "cgroup", 0755) == 0);
	place = (struct limits_place){
		.proc = openat(root, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.cgroup = openat(root, "cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.cmdline = "",
	};
	close(root);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[96];
		int where = file_of(names[i], path);

		put(where, path, "7\n");
	}
	put(place.proc, "sys/kernel/pid_max", "32768\n");
}

static void
teardown(void)
{
	auto_close int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	close(place.proc);
	close(place.cgroup);
	REQUIRE_OK(path_remove_tree(tmp, dir + strlen("/tmp/"), &err), &err);
}

TestSuite(limits, .init = setup, .fini = teardown);

/* Every row is written at boot and after memory has grown, which raises those that depend on it. */
Test(limits, follow_memory)
{
	static const char *const fixed[] = { "kernel.pty.reserve", "fs.nr_open", "fs.file-max",
					     "fs.inotify.max_user_watches" /* At least 8192. */ };
	uint64_t before[ARRAY_LEN(names)];
	struct error err = ERROR_INIT;
	struct limits_size size;

	set_memory(256 * MIB, 40 * MIB, 0);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_ALL, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		before[i] = now(names[i]);
		CHECK_EQ(before[i], limits_value(names[i], &size), "%s", names[i]);
		CHECK_GT(before[i], 7, "%s", names[i]);
	}
	set_memory(1024 * MIB, 60 * MIB, 10 * MIB);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_ALL, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool is_fixed = false;

		for (size_t k = 0; k < ARRAY_LEN(fixed); k++)
			is_fixed |= strcmp(fixed[k], names[i]) == 0;
		CHECK(now(names[i]) > before[i] || (is_fixed && now(names[i]) == before[i]),
		      "%s: %lu, then %lu", names[i], before[i], now(names[i]));
	}
}

/* A container may request RLIMIT_NOFILE 1073741816, as with systemd in the image of Kata. */
Test(limits, files_are_not_limited_by_number)
{
	const struct limits_size size = { .total = 192 * MIB, .pid_max = 32768 };

	CHECK_GE(limits_value("fs.nr_open", &size), 1073741816);
	CHECK_EQ(limits_value("fs.file-max", &size), INT64_MAX);
}

/* The measured need of kernel, agent and files in memory does not include that of the pods. */
Test(limits, measures_the_base)
{
	struct error err = ERROR_INIT;
	struct limits_size size;

	set_memory(512 * MIB, 150 * MIB, 100 * MIB);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	CHECK_EQ(size.total, 512 * MIB);
	CHECK_EQ(size.base, 50 * MIB);
	CHECK_EQ(size.pid_max, 32768);
	/* Absurd numbers are rejected, or do not lead to absurd limits. */
	set_memory(512 * MIB, 10 * MIB, 100 * MIB);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	CHECK_EQ(size.base, 0);
	put(place.proc, "meminfo", "MemTotal: 10 kB\nMemAvailable: 20 kB\n");
	CHECK_EQ(limits_measure(&place, &size, &err), -1);
	put(place.proc, "meminfo", "");
	CHECK_EQ(limits_measure(&place, &size, &err), -1);
}

Test(limits, reserve_memory)
{
	static const struct {
		uint64_t total, base, max;
	} rows[] = {
		{ 192 * MIB, 40 * MIB, 140 * MIB },    { 256 * MIB, 40 * MIB, 200 * MIB },
		{ 512 * MIB, 100 * MIB, 380 * MIB },   { 2 * GIB, 100 * MIB, 1820 * MIB },
		{ 64 * GIB, 1024 * MIB, 64384 * MIB }, { 64 * MIB, 40 * MIB, 32 * MIB },
		{ 512 * MIB, UINT64_MAX, 256 * MIB },  { 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct limits_size size = { rows[i].total, rows[i].base, 32768 };
		uint64_t max = limits_value("pods/memory.max", &size);
		uint64_t high = limits_value("pods/memory.high", &size);

		CHECK_EQ(max, rows[i].max, "row %zu: %lu MiB", i, (unsigned long)(max / MIB));
		if (max)
			CHECK(high < max && high >= max / 2, "row %zu: %lu MiB", i,
			      (unsigned long)(high / MIB));
	}
}

Test(limits, reserve_tasks)
{
	struct limits_size size = { .pid_max = 32768 };

	size.total = 64 * GIB;
	CHECK_EQ(limits_value("pods/pids.max", &size), 32768 - 1024);
	size.total = 512 * MIB;
	CHECK_EQ(limits_value("pods/pids.max", &size), 4096 - 512);
	size.total = 192 * MIB;
	CHECK_EQ(limits_value("pods/pids.max", &size), 1536 - 256);
	size.total = 0;
	CHECK_EQ(limits_value("pods/pids.max", &size), 256);
	size.pid_max = 0;
	CHECK_EQ(limits_value("pods/pids.max", &size), 0);
}

/* A container reaches its memory limit before it exhausts what the agent needs. */
Test(limits, quotas_that_agent_and_containers_share)
{
	static const struct {
		const char *name;
		/* Minimum size of one, that of the smallest kernel object. */
		uint64_t bytes;
	} rows[] = {
		{ "fs.epoll.max_user_watches", 128 },  { "user.max_mnt_namespaces", 256 },
		{ "user.max_cgroup_namespaces", 128 }, { "user.max_ipc_namespaces", 512 },
		{ "user.max_pid_namespaces", 128 },    { "user.max_uts_namespaces", 256 },
	};

	for (uint64_t total = 128 * MIB; total < 128 * GIB; total *= 2) {
		const struct limits_size size = { .total = total, .pid_max = 32768 };

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			CHECK_GE(limits_value(rows[i].name, &size) * rows[i].bytes,
				 limits_value("pods/memory.max", &size), "%s at %lu MiB",
				 rows[i].name, (unsigned long)(total / MIB));
	}
}

/* Objects that are charged to no cgroup are limited to a small part of memory. */
Test(limits, quotas_that_no_cgroup_limits)
{
	static const struct {
		const char *name;
		/* Size of one. */
		uint64_t bytes;
	} rows[] = {
		{ "kernel.pty.max", 32 * 1024 },
		{ "kernel.keys.root_maxkeys", 300 },
		{ "kernel.keys.root_maxbytes", 1 },
	};

	for (uint64_t total = 128 * MIB; total < 128 * GIB; total *= 2) {
		const struct limits_size size = { .total = total, .pid_max = 32768 };

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			CHECK_LE(limits_value(rows[i].name, &size) * rows[i].bytes, total / 8,
				 "%s at %lu MiB", rows[i].name, total / MIB);
		CHECK_LE(limits_value("kernel.pty.reserve", &size) * 4,
			 limits_value("kernel.pty.max", &size));
	}
}

/* Settings of the kernel command line are kept, and those that this kernel lacks are skipped. */
Test(limits, rows_that_are_left_alone)
{
	struct error err = ERROR_INIT;
	struct limits_size size;

	set_memory(256 * MIB, 40 * MIB, 0);
	place.cmdline = "quiet sysctl.fs.nr_open=7 sysctl.user.max_net_namespaces=7";
	REQUIRE_EQ(unlinkat(place.proc, "sys/user/max_time_namespaces", 0), 0);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_ALL, &err), &err);
	CHECK_EQ(now("fs.nr_open"), 7);
	CHECK_EQ(now("user.max_net_namespaces"), 7);
	CHECK_GT(now("user.max_user_namespaces"), 7);
	/* One kind at a time, and without directories. */
	put(place.proc, "sys/fs/file-max", "7\n");
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_CGROUPS, &err), &err);
	CHECK_EQ(now("fs.file-max"), 7);
	place.cmdline = "";
	close_fd(&place.cgroup);
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_ALL, &err), &err);
	place.cgroup = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* With another init. */
Test(limits, only_raised)
{
	struct error err = ERROR_INIT;
	struct limits_size size;

	set_memory(256 * MIB, 40 * MIB, 0);
	put(place.proc, "sys/kernel/threads-max", "1000000\n");
	place.only_raise = true;
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	REQUIRE_OK(limits_apply(&place, &size, LIMITS_ALL, &err), &err);
	CHECK_EQ(now("kernel.threads-max"), 1000000);
	CHECK_GT(now("fs.inotify.max_user_watches"), 7);
}

Test(limits, failures_are_counted)
{
	struct error err = ERROR_INIT;
	struct limits_size size;

	set_memory(256 * MIB, 40 * MIB, 0);
	REQUIRE_OK(limits_measure(&place, &size, &err), &err);
	REQUIRE_EQ(unlinkat(place.proc, "sys/fs/nr_open", 0), 0);
	REQUIRE_EQ(mkdirat(place.proc, "sys/fs/nr_open", 0755), 0);
	CHECK_EQ(limits_apply(&place, &size, LIMITS_ALL, &err), 1);
	CHECK_HAS(err.msg, "fs.nr_open");
	CHECK_GT(now("fs.file-max"), 7, "the rows after it are written");
}

Test(limits, queued_signals)
{
	const struct limits_size size = { .total = 256 * MIB };
	struct error err = ERROR_INIT;
	struct rlimit limit;

	if (getuid() != 0)
		cr_skip_test("raising limits needs root");
	REQUIRE_OK(limits_apply_process(0, &size, &err), &err);
	REQUIRE_EQ(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	CHECK_EQ(limit.rlim_cur, 1024);
	CHECK_EQ(limit.rlim_max, 1024);
}
