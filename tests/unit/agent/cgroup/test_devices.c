/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules: their meaning, the program made from them (interpreted here and compared with the
 * rules), and its enforcement by the kernel for a process in the cgroup.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/devices.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/device_model.h"

#define BLOCK BPF_DEVCG_DEV_BLOCK
#define CHAR  BPF_DEVCG_DEV_CHAR
#define R     BPF_DEVCG_ACC_READ
#define W     BPF_DEVCG_ACC_WRITE
#define M     BPF_DEVCG_ACC_MKNOD

/* A rule as a spec has it. */
struct row {
	bool allow;
	const char *type;
	int64_t major, minor;
	const char *access;
};

static struct device_rules
make(const struct row *rows, size_t n, Grpc__LinuxDevice *const *devices, size_t n_devices,
     bool any_disk)
{
	static Grpc__LinuxDeviceCgroup spec[DEVICE_RULES_MAX];
	static Grpc__LinuxDeviceCgroup *list[DEVICE_RULES_MAX];
	struct error err = ERROR_INIT;
	struct device_rules rules;

	for (size_t i = 0; i < n; i++) {
		grpc__linux_device_cgroup__init(&spec[i]);
		spec[i].allow = rows[i].allow;
		spec[i].type = (char *)(uintptr_t)rows[i].type;
		spec[i].major = rows[i].major;
		spec[i].minor = rows[i].minor;
		spec[i].access = (char *)(uintptr_t)rows[i].access;
		list[i] = &spec[i];
	}
	REQUIRE_OK(device_rules_validate(list, n, &err), &err);
	REQUIRE_OK(device_rules_make(list, n, devices, n_devices, any_disk, &rules, &err), &err);
	return rules;
}

/* Returns whether the program allows an access, which must agree with the rules. */
static bool
allows(const struct device_rules *rules, uint8_t type, uint8_t access, uint32_t major,
       uint32_t minor)
{
	struct bpf_insn *program = calloc(DEVICE_PROGRAM_MAX(rules->n), sizeof(*program));
	struct bpf_cgroup_dev_ctx context = { .access_type = (uint32_t)access << 16 | type,
					      .major = major,
					      .minor = minor };
	size_t n = device_program_make(rules, program);
	int allowed = device_program_run(program, n, &context);

	REQUIRE_LE(n, DEVICE_PROGRAM_MAX(rules->n));
	REQUIRE_GE(allowed, 0, "invalid program");
	CHECK_EQ(allowed, device_rules_allow(rules, type, access, major, minor),
		 "type %u access %u %u:%u", type, access, major, minor);
	free(program);
	return allowed;
}

Test(devices, validate)
{
	static const struct {
		struct row row;
		const char *text;
	} bad[] = {
		{ { true, "x", 1, 3, "r" }, "type" },
		{ { true, "cc", 1, 3, "r" }, "type" },
		{ { true, "c", 1, 3, "" }, "access" },
		{ { true, "c", 1, 3, "rx" }, "access" },
		{ { true, "c", -2, 3, "r" }, "range" },
		{ { true, "c", 1, -2, "r" }, "range" },
		{ { true, "c", 4096, 3, "r" }, "range" },
		{ { true, "c", 1, 1 << 20, "r" }, "range" },
	};
	Grpc__LinuxDeviceCgroup r = GRPC__LINUX_DEVICE_CGROUP__INIT, *list[] = { &r };
	Grpc__LinuxDeviceCgroup *many[DEVICE_RULES_MAX + 1];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r.type = (char *)(uintptr_t)bad[i].row.type;
		r.major = bad[i].row.major;
		r.minor = bad[i].row.minor;
		r.access = (char *)(uintptr_t)bad[i].row.access;
		CHECK_EQ(device_rules_validate(list, 1, &err), -1, "row %zu", i);
		CHECK_HAS(err.msg, bad[i].text, "row %zu: %s", i, err.msg);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	}
	r = (Grpc__LinuxDeviceCgroup)GRPC__LINUX_DEVICE_CGROUP__INIT;
	r.access = "rwm";
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = &r;
	CHECK_OK(device_rules_validate(many, DEVICE_RULES_MAX, &err), &err);
	CHECK_EQ(device_rules_validate(many, DEVICE_RULES_MAX + 1, &err), -1);
}

/* The first rule that containerd sends denies all devices, except those of every container. */
Test(devices, deny_all)
{
	static const struct row rows[] = { { false, "", 0, 0, "rwm" } };
	struct device_rules rules = make(rows, 1, NULL, 0, false);

	CHECK(allows(&rules, CHAR, R | W | M, 1, 3));
	CHECK(allows(&rules, CHAR, R | W, 5, 2));
	CHECK(allows(&rules, CHAR, R | W, 136, 77));
	CHECK(allows(&rules, CHAR, R | W, 10, 200));
	CHECK(allows(&rules, CHAR, M, 1, 1));
	CHECK(allows(&rules, BLOCK, M, 8, 0));
	CHECK(!allows(&rules, CHAR, R, 1, 1));
	CHECK(!allows(&rules, CHAR, R | M, 1, 1));
	CHECK(!allows(&rules, BLOCK, R, 8, 0));
	CHECK(!allows(&rules, BLOCK, R, 1, 3));
	CHECK(!allows(&rules, CHAR, W, 10, 201));
	free(rules.list);
}

/* For each access the last rule that contains it decides. */
Test(devices, order_and_wildcards)
{
	static const struct row rows[] = {
		{ false, "a", -1, -1, "rwm" },
		{ true, "c", 10, -1, "rw" },
		{ false, "c", 10, 5, "w" },
		{ true, "b", 8, 1, "r" },
		{ true, "b", 8, 1, "w" },
		{ true, "c", -1, 7, "r" },
		/* a default device */
		{ false, "c", 1, 3, "rwm" },
		/* with a type, 0 is a number and not a wildcard */
		{ true, "c", 0, 0, "r" },
	};
	struct device_rules rules = make(rows, ARRAY_LEN(rows), NULL, 0, false);

	CHECK(allows(&rules, CHAR, R | W, 10, 4));
	CHECK(allows(&rules, CHAR, R, 10, 5));
	CHECK(!allows(&rules, CHAR, W, 10, 5));
	CHECK(!allows(&rules, CHAR, R | W, 10, 5));
	CHECK(allows(&rules, BLOCK, R | W, 8, 1), "two rules together");
	CHECK(!allows(&rules, BLOCK, R, 8, 2));
	CHECK(allows(&rules, CHAR, R, 99, 7));
	CHECK(!allows(&rules, CHAR, W, 99, 7));
	CHECK(!allows(&rules, BLOCK, R, 99, 7));
	CHECK(allows(&rules, CHAR, R | W | M, 1, 3), "default devices cannot be denied");
	CHECK(allows(&rules, CHAR, R, 0, 0));
	CHECK(!allows(&rules, CHAR, R, 4, 64));
	free(rules.list);
}

/* A privileged container may open all devices except the disks of others. */
Test(devices, allow_all)
{
	static const struct row rows[] = {
		{ false, "a", 0, 0, "rwm" },
		/* its own disk */
		{ true, "b", 254, 16, "rw" },
		{ true, "a", -1, -1, "rwm" },
	};
	struct device_rules rules = make(rows, ARRAY_LEN(rows), NULL, 0, false);

	CHECK(allows(&rules, CHAR, R | W | M, 1, 1));
	CHECK(allows(&rules, BLOCK, R | W | M, 254, 16));
	CHECK(allows(&rules, BLOCK, M, 254, 0));
	CHECK(!allows(&rules, BLOCK, R, 254, 0));
	CHECK(!allows(&rules, BLOCK, W, 259, 0));
	free(rules.list);
	rules = make(rows, ARRAY_LEN(rows), NULL, 0, true);
	CHECK(allows(&rules, BLOCK, R | W | M, 259, 0), "opted out");
	free(rules.list);
	/* a rule with a major is not restricted */
	rules = make((const struct row[]){ { true, "b", 7, -1, "rwm" } }, 1, NULL, 0, false);
	CHECK(allows(&rules, BLOCK, R | W, 7, 3));
	free(rules.list);
}

/* Runtimes that clear the rules still send the devices. */
Test(devices, devices_without_rules)
{
	Grpc__LinuxDevice d = GRPC__LINUX_DEVICE__INIT, *devices[] = { &d };
	static const struct row deny[] = { { false, "a", -1, -1, "rwm" } };
	struct device_rules rules;

	d.type = "b";
	d.major = 254;
	d.minor = 32;
	rules = make(NULL, 0, devices, 1, false);
	CHECK(allows(&rules, BLOCK, R | W, 254, 32));
	CHECK(!allows(&rules, BLOCK, R, 254, 48));
	CHECK(!allows(&rules, CHAR, R, 254, 32));
	free(rules.list);
	rules = make(deny, 1, devices, 1, false);
	CHECK(!allows(&rules, BLOCK, R, 254, 32), "rules replace the devices");
	free(rules.list);
}

/* Program and rules agree for random lists. */
Test(devices, random_rules)
{
	static const char *const types[] = { "a", "b", "c", "" };
	static const char *const accesses[] = { "r", "w", "m", "rw", "rm", "wm", "rwm" };
	struct row rows[20];
	unsigned int seed = 1;

	for (int round = 0; round < 300; round++) {
		size_t n = (size_t)rand_r(&seed) % ARRAY_LEN(rows);
		struct device_rules rules;

		for (size_t i = 0; i < n; i++)
			rows[i] = (struct row){
				.allow = rand_r(&seed) % 2,
				.type = types[rand_r(&seed) % 4],
				.major = rand_r(&seed) % 4 - 1,
				.minor = rand_r(&seed) % 4 - 1,
				.access = accesses[rand_r(&seed) % 7],
			};
		rules = make(rows, n, NULL, 0, rand_r(&seed) % 2);
		for (uint32_t q = 0; q < 2 * 7 * 16; q++)
			(void)allows(&rules, (uint8_t)(1 + q % 2), (uint8_t)(1 + q / 2 % 7),
				     q / 14 % 4, q / 56);
		free(rules.list);
	}
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

/* Makes and opens a node of these numbers in a process in the cgroup. Returns 0, or the errno of
 * the failed call. */
static int
try_open(int cgroup, mode_t type, unsigned int major, unsigned int minor)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)cgroup };
	pid_t pid = sys_clone3(&args);
	char path[64];
	int status, fd;

	if (pid == 0) {
		(void)snprintf(path, sizeof(path), "/dev/shm/test-devices-%d", (int)getpid());
		if (mknod(path, type | 0600, makedev(major, minor)) < 0)
			_exit(errno);
		fd = open(path, O_RDONLY | O_NONBLOCK);
		status = fd < 0 ? errno : 0;
		unlink(path);
		_exit(status);
	}
	REQUIRE_GT(pid, 0);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The kernel accepts, replaces and enforces the program. */
Test(devices, enforced_by_the_kernel)
{
	static const struct row deny[] = { { false, "a", -1, -1, "rwm" } };
	static const struct row kmsg[] = { { false, "a", -1, -1, "rwm" },
					   { true, "c", 1, 11, "r" } };
	auto_close int root = cgroup_root();
	struct device_rules rules = make(deny, 1, NULL, 0, false);
	struct error err = ERROR_INIT;
	auto_close int fd = -1;
	auto_close int former = -1;
	uint32_t id = 0, first;
	char path[64];

	snprintf(path, sizeof(path), "pods/test-devices-%d", (int)getpid());
	fd = cgroup_create(root, path, &err);
	REQUIRE_GE(fd, 0, "%s", err.msg);
	if (try_open(fd, S_IFCHR, 1, 11) != 0)
		cr_skip_test("another program of this machine denies devices");
	REQUIRE_OK(cgroup_devices_apply(fd, &rules, &id, &err), &err);
	free(rules.list);
	REQUIRE_NE(id, 0);
	CHECK_EQ(try_open(fd, S_IFCHR, 1, 3), 0);
	CHECK_EQ(try_open(fd, S_IFCHR, 1, 11), EPERM);
	CHECK_EQ(try_open(fd, S_IFBLK, 7, 0), EPERM);
	first = id;
	former = cgroup_devices_hold(id);
	rules = make(kmsg, 2, NULL, 0, false);
	REQUIRE_OK(cgroup_devices_apply(fd, &rules, &id, &err), &err);
	free(rules.list);
	CHECK_NE(id, first);
	CHECK_EQ(try_open(fd, S_IFCHR, 1, 11), 0);
	cgroup_devices_restore(fd, former, &id);
	CHECK_EQ(id, first);
	CHECK_EQ(try_open(fd, S_IFCHR, 1, 11), EPERM);
	CHECK_OK(cgroup_remove(root, path, 5000, &err), &err);
	(void)unlinkat(root, "pods", AT_REMOVEDIR);
}

/* The kernel's verifier accepts the longest list of rules. */
Test(devices, longest_list)
{
	static struct row rows[DEVICE_RULES_MAX];
	auto_close int root = cgroup_root();
	struct error err = ERROR_INIT;
	struct device_rules rules;
	auto_close int fd = -1;
	uint32_t id = 0;
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i] = (struct row){ i % 2 == 0, i % 3 ? "c" : "b", (int64_t)i, (int64_t)i % 7,
					i % 5 ? "rwm" : "r" };
	rules = make(rows, ARRAY_LEN(rows), NULL, 0, false);
	snprintf(path, sizeof(path), "pods/test-longest-%d", (int)getpid());
	fd = cgroup_create(root, path, &err);
	REQUIRE_GE(fd, 0, "%s", err.msg);
	CHECK_OK(cgroup_devices_apply(fd, &rules, &id, &err), &err);
	free(rules.list);
	CHECK_OK(cgroup_remove(root, path, 5000, &err), &err);
	(void)unlinkat(root, "pods", AT_REMOVEDIR);
}

/* A kept program is reused for the same rules only, and is loaded again if it no longer exists. */
Test(devices, kept_program)
{
	static const struct row deny[] = { { false, "a", -1, -1, "rwm" } };
	struct device_program kept = { .fd = -1 }, p;
	struct device_rules rules = make(deny, 1, NULL, 0, false);
	static const struct row kmsg[] = { { true, "c", 1, 11, "r" } };
	struct device_rules others = make(kmsg, 1, NULL, 0, false);
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		cr_skip_test("loading a program of cgroups needs root");
	REQUIRE_OK(device_program_load(&rules, &kept, &p, &err), &err);
	CHECK_EQ(device_program_keep(&kept, p.instructions, 7, &p.fd, &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_OK(device_program_keep(&kept, p.instructions, p.n * sizeof(*p.instructions), &p.fd,
				       &err),
		   &err);
	CHECK_EQ(p.fd, -1);
	device_program_release(&p);
	CHECK_EQ(device_program_load(&rules, &kept, &p, &err), 1, "%s", err.msg);
	CHECK_EQ(p.id, kept.id);
	device_program_release(&p);
	CHECK_OK(device_program_load(&others, &kept, &p, &err), &err);
	CHECK_NE(p.id, kept.id);
	device_program_release(&p);
	kept.id = UINT32_MAX;
	CHECK_OK(device_program_load(&rules, &kept, &p, &err), &err);
	device_program_release(&p);
	device_program_release(&kept);
	free(rules.list);
	free(others.list);
}
