/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot duties in new namespaces on an empty root: mounts, links, loopback, host name; and in an
 * environment without directories and privileges.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init/boot.h"
#include "init/cgroups.h"
#include "init/mounts.h"
#include "init/root.h"
#include "lib/io.h"
#include "lib/log.h"
#include "tests/support/check.h"
#include "tests/unit/init/sandbox.h"

static bool
drop(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

static void
empty_root(bool is_read_only)
{
	log_set_sink(drop, NULL);
	REQUIRE_EQ(mount("root", "/mnt", "tmpfs", 0, ""), 0);
	if (is_read_only)
		REQUIRE_EQ(mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	REQUIRE_EQ(chdir("/mnt"), 0);
	REQUIRE_EQ(chroot("."), 0);
}

static bool
is_of_type(const char *path, long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (long)fs.f_type == magic;
}

static size_t
count_mounts(void)
{
	static char text[16384];
	size_t n = 0;

	REQUIRE_GT(read_text_at(AT_FDCWD, "/proc/self/mountinfo", text, sizeof(text)), 0);
	for (const char *p = text; *p; p++)
		n += *p == '\n';
	return n;
}

static int
mounts(void *data)
{
	struct stat st;
	size_t before;

	(void)data;
	empty_root(false);
	(void)mounts_boot();
	REQUIRE(is_of_type("/proc", PROC_SUPER_MAGIC));
	REQUIRE(is_of_type("/sys", SYSFS_MAGIC));
	REQUIRE(is_of_type("/run", TMPFS_MAGIC));
	REQUIRE(is_of_type("/tmp", TMPFS_MAGIC));
	REQUIRE_EQ(stat("/tmp", &st), 0);
	REQUIRE_EQ(st.st_mode & 07777, 01777);
	if (is_of_type("/dev", TMPFS_MAGIC) && stat("/dev/null", &st) == 0) {
		REQUIRE(is_of_type("/dev/pts", DEVPTS_SUPER_MAGIC));
		REQUIRE(is_of_type("/dev/shm", TMPFS_MAGIC));
		REQUIRE_EQ(stat("/dev/shm", &st), 0);
		REQUIRE_EQ(st.st_mode & 07777, 01777);
	}
	/* The second time all mounts exist already. */
	before = count_mounts();
	(void)mounts_boot();
	REQUIRE_EQ(count_mounts(), before);
	return 0;
}

Test(boot, mounts_once_and_only_once, .timeout = 30)
{
	sandbox_require();
	if (getuid() != 0)
		cr_skip_test("devtmpfs needs root");
	REQUIRE_EQ(sandbox_run(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC, mounts, NULL), 0);
}

static int
duties(void *data)
{
	struct ifreq req = { .ifr_name = "lo" };
	struct utsname uts;
	struct rlimit files;
	char link[64] = "";
	int fd;

	(void)data;
	empty_root(false);
	REQUIRE_EQ(mkdir("/dev", 0755), 0);
	REQUIRE_EQ(mkdir("/etc", 0755), 0);
	boot_dev_links();
	REQUIRE_EQ(readlink("/dev/ptmx", link, sizeof(link) - 1), 8);
	REQUIRE_STR(link, "pts/ptmx");
	/* Calling it twice is allowed. */
	boot_dev_links();
	boot_loopback();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(ioctl(fd, SIOCGIFFLAGS, &req), 0);
	REQUIRE((req.ifr_flags & IFF_UP));
	boot_hostname("/etc/hostname");
	REQUIRE_EQ(uname(&uts), 0);
	REQUIRE_STR(uts.nodename, "localhost");
	fd = open("/etc/hostname", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	REQUIRE_GE(fd, 0);
	REQUIRE_GT(dprintf(fd, "  guest-7 second\nthird\n"), 0);
	boot_hostname("/etc/hostname");
	REQUIRE_EQ(uname(&uts), 0);
	REQUIRE_STR(uts.nodename, "guest-7");
	boot_limits();
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
	REQUIRE_EQ(files.rlim_cur, files.rlim_max);
	return 0;
}

Test(boot, does_the_small_duties, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS, duties, NULL), 0);
}

/* Without directories, permission to create them and stdio, every duty fails, but none exits. */
static int
poorest(void *data)
{
	char cmdline[] = "sysctl. = sysctl.kernel.sysrq agent.log=nonsense";

	(void)data;
	empty_root(true);
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	boot_reserve_stdio();
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return 2;
	if (mounts_boot() == 0)
		return 3;
	if (boot_console())
		return 4;
	boot_dev_links();
	boot_limits();
	boot_sysctls(cmdline);
	boot_loopback();
	boot_hostname("/etc/hostname");
	if (open("/", O_PATH | O_CLOEXEC) < 3)
		return 5;
	return 0;
}

Test(boot, survives_an_empty_world, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS, poorest, NULL), 0);
}

/* A root in memory is bind-mounted over itself: existing and new files are the same in both
 * mounts. */
static int
memory_root(void *data)
{
	struct error err = ERROR_INIT;
	struct stat before, after;
	bool moved = false;

	(void)data;
	empty_root(false);
	REQUIRE_EQ(mkdir("/here", 0755), 0);
	REQUIRE_EQ(stat("/", &before), 0);
	REQUIRE_OK(root_prepare(&moved, &err), &err);
	REQUIRE(moved);
	REQUIRE_EQ(stat("/", &after), 0);
	REQUIRE_EQ(before.st_dev, after.st_dev);
	REQUIRE_EQ(before.st_ino, after.st_ino);
	REQUIRE_EQ(access("/here", F_OK), 0);
	REQUIRE_LT(access("/.root", F_OK), 0);
	return 0;
}

Test(boot, moves_a_memory_root_over_itself, .timeout = 30)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(CLONE_NEWNS, memory_root, NULL), 0);
}

/* ---- cgroups, on a fake tree ---- */

static int
fake_cgroups(char *dir)
{
	static const char *const files[] = {
		"cgroup.controllers",      "cgroup.subtree_control",
		"pods/cgroup.controllers", "pods/cgroup.subtree_control",
		"pods/memory.max",         "agent/cgroup.procs",
		"agent/cpu.weight",        "pods/pids.max",
	};
	int fd;

	REQUIRE(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	REQUIRE(mkdirat(fd, "pods", 0755) == 0 && mkdirat(fd, "agent", 0755) == 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int file = openat(fd, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		REQUIRE_GE(file, 0);
		if (strstr(files[i], "controllers"))
			REQUIRE_GT(dprintf(file, "cpu io memory\n"), 0);
		(void)close(file);
	}
	return fd;
}

static void
expect_text(int dirfd, const char *file, const char *text)
{
	char found[64];

	REQUIRE_GE(read_text_at(dirfd, file, found, sizeof(found)), 0, "%s", file);
	CHECK_STR(found, text, "%s", file);
}

Test(boot, lays_out_cgroups)
{
	char dir[] = "/tmp/tatami-cgroups-XXXXXX", command[64];
	int fd = fake_cgroups(dir);

	CHECK_EQ(cgroups_setup(fd), 0);
	cgroups_join_agent(fd);
	expect_text(fd, "agent/cgroup.procs", "0");
	expect_text(fd, "agent/cpu.weight", "1000");
	expect_text(fd, "cgroup.subtree_control", "+cpu +io +memory");
	expect_text(fd, "pods/cgroup.subtree_control", "+cpu +io +memory");
	(void)close(fd);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	REQUIRE_EQ(system(command), 0);
}

Test(boot, survives_a_missing_cgroup_tree)
{
	char dir[] = "/tmp/tatami-cgroups-XXXXXX";
	int fd;

	log_set_sink(drop, NULL);
	REQUIRE(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_GT(cgroups_setup(fd), 0);
	(void)unlinkat(fd, "agent", AT_REMOVEDIR);
	(void)unlinkat(fd, "pods", AT_REMOVEDIR);
	(void)rmdir(dir);
	(void)close(fd);
}
