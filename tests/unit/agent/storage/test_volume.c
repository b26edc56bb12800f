/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on volumes that are mounted: real file systems on loop devices, where this machine lets
 * us. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

#define MIB (1024ull * 1024)

static struct volume_parts
parts(struct bench *b)
{
	return (struct volume_parts){
		.jobs = b->jobs, .roots = &b->roots, .devices = b->devices, .storages = b->t
	};
}

static void
write_text(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

/* The file is no module, which the error shows; without it, the file system is unknown. */
AGENT_TEST(storage_volume, the_module_of_a_file_system_is_loaded)
{
	struct storage_spec s = memory(b, "at");
	const int root = b->roots.root;
	char dir[256], path[320];
	struct utsname uts;
	struct error err;

	REQUIRE_EQ(uname(&uts), 0);
	REQUIRE_EQ(mkdir(at(b, "lib"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "lib/modules"), 0755), 0);
	(void)snprintf(dir, sizeof(dir), "%s/lib/modules/%.64s", b->dir, uts.release);
	REQUIRE_EQ(mkdir(dir, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/modules.dep", dir);
	write_text(path, "oddfs.ko:\n");
	(void)snprintf(path, sizeof(path), "%s/oddfs.ko", dir);
	write_text(path, "not a module");
	(void)snprintf(path, sizeof(path), "%s/modules.alias", dir);
	write_text(path, "alias fs-oddfs oddfs\n");
	s.driver = "virtio-fs";
	s.source = "tag";
	s.fstype = "oddfs";
	b->roots.root = b->roots.run;
	err = acquire(b, "one", &s, 1);
	REQUIRE_NE(err.code, ERROR_OK);
	REQUIRE_HAS(err.msg, "failed to load oddfs.ko");
	REQUIRE_EQ(unlink(path), 0);
	err = acquire(b, "one", &s, 1);
	REQUIRE_EQ(err.code, ERROR_FAILED_PRECONDITION, "%s", err.msg);
	REQUIRE_HAS(err.msg, "does not support file system oddfs");
	b->roots.root = root;
	(void)snprintf(path, sizeof(path), "rm -r %s/lib", b->dir);
	REQUIRE_EQ(system(path), 0);
}

struct answer {
	int ended;
	struct error err;
	struct volume_usage usage;
};

static void
on_usage(const struct error *err, const struct volume_usage *usage, void *data)
{
	struct answer *a = data;

	a->ended++;
	a->err = *err;
	if (usage)
		a->usage = *usage;
}

static void
on_resized(const struct error *err, void *data)
{
	on_usage(err, NULL, data);
}

static struct answer
usage(struct bench *b, const char *path)
{
	struct volume_parts p = parts(b);
	struct answer a = { 0 };

	if (volume_usage(&p, path, on_usage, &a, &a.err))
		UNTIL(b, a.ended);
	return a;
}

static struct error
resize(struct bench *b, const char *path, uint64_t size)
{
	struct volume_parts p = parts(b);
	struct answer a = { 0 };

	if (volume_resize(&p, path, size, on_resized, &a, &a.err))
		UNTIL(b, a.ended);
	return a.err;
}

static struct error
update(struct bench *b, const struct storage_spec *specs, size_t n)
{
	struct volume_parts p = parts(b);
	struct result r = { 0 };

	if (ephemeral_update(&p, specs, n, on_done, &r, &r.err))
		UNTIL(b, r.ended);
	return r.err;
}

/* ---- a file system on a loop device ---- */

struct disk {
	char image[160], node[32], point[160];
	int loop;
};

static int
run(const char *const argv[])
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(open("/dev/null", O_RDWR), 1);
		(void)dup2(1, 2);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static bool
loop_attach(struct disk *d)
{
	auto_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	auto_close int image = open(d->image, O_RDWR | O_CLOEXEC);
	int n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

	if (n < 0 || image < 0)
		return false;
	(void)snprintf(d->node, sizeof(d->node), "/dev/loop%d", n);
	d->loop = open(d->node, O_RDWR | O_CLOEXEC);
	/* it goes by itself when this process has gone */
	if (d->loop >= 0 && ioctl(d->loop, LOOP_SET_FD, image) == 0 &&
	    ioctl(d->loop, LOOP_SET_STATUS64,
		  &(struct loop_info64){ .lo_flags = LO_FLAGS_AUTOCLEAR }) == 0)
		return true;
	close_fd(&d->loop);
	return false;
}

static void
disk_end(struct disk *d)
{
	(void)umount2(d->point, MNT_DETACH);
	if (d->loop >= 0)
		(void)ioctl(d->loop, LOOP_CLR_FD);
	close_fd(&d->loop);
	(void)rmdir(d->point);
	(void)unlink(d->image);
}

/* False: there is no such program, no loop device, or this kernel does not know it. */
static bool
disk_make(struct bench *b, struct disk *d, const char *fstype, uint64_t size)
{
	char mkfs[32];
	const char *const argv[] = { mkfs, "-q", d->image, NULL };

	*d = (struct disk){ .loop = -1 };
	(void)snprintf(mkfs, sizeof(mkfs), "mkfs.%s", fstype);
	(void)snprintf(d->image, sizeof(d->image), "%s", at(b, "image"));
	(void)snprintf(d->point, sizeof(d->point), "%s", at(b, "volume"));
	REQUIRE_EQ(mknod(d->image, S_IFREG | 0600, 0), 0);
	REQUIRE_EQ(truncate(d->image, (off_t)size), 0);
	REQUIRE_EQ(mkdir(d->point, 0755), 0);
	if (run(argv) == 0 && loop_attach(d) && mount(d->node, d->point, fstype, 0, NULL) == 0)
		return true;
	fprintf(stderr, "# no %s here\n", fstype);
	disk_end(d);
	return false;
}

static void
disk_grow(struct disk *d, uint64_t size)
{
	REQUIRE_EQ(truncate(d->image, (off_t)size), 0);
	REQUIRE_EQ(ioctl(d->loop, LOOP_SET_CAPACITY, 0), 0);
}

static uint64_t
size_of(const char *path)
{
	struct statfs st;

	REQUIRE_EQ(statfs(path, &st), 0);
	return (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
}

static void
grows(struct bench *b, const char *fstype)
{
	struct error err;
	uint64_t before;
	struct disk d;

	if (!disk_make(b, &d, fstype, 400 * MIB))
		return;
	before = size_of(d.point);
	/* it is as large as its device */
	REQUIRE(resize(b, d.point, 0).code == ERROR_OK && size_of(d.point) == before);
	err = resize(b, d.point, 300 * MIB);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(err.msg, d.point);
	err = resize(b, d.point, 900 * MIB);
	REQUIRE_EQ(err.code, ERROR_OUT_OF_RANGE);
	REQUIRE_HAS(err.msg, "943718400");
	disk_grow(&d, 900 * MIB);
	err = resize(b, d.point, 700 * MIB);
	if (err.code != ERROR_OK)
		fprintf(stderr, "# %s\n", err.msg);
	REQUIRE_EQ(err.code, ERROR_OK);
	REQUIRE_GT(size_of(d.point), before + 250 * MIB);
	REQUIRE_LE(size_of(d.point), 700 * MIB);
	/* again, as a host that lost the answer asks */
	REQUIRE_EQ(resize(b, d.point, 700 * MIB).code, ERROR_OK);
	REQUIRE_EQ(resize(b, d.point, 0).code, ERROR_OK);
	REQUIRE_GT(size_of(d.point), before + 450 * MIB);
	disk_end(&d);
}

AGENT_TEST(storage_volume, xfs_grows_while_it_is_mounted)
{
	grows(b, "xfs");
}

AGENT_TEST(storage_volume, btrfs_grows_while_it_is_mounted)
{
	grows(b, "btrfs");
}

/* Root of the test machine may lack the permission to resize: scenario-files tests that. */
AGENT_TEST(storage_volume, ext4_tells_its_size_and_its_errors)
{
	struct answer a;
	struct disk d;
	char trigger[256];

	if (!disk_make(b, &d, "ext4", 64 * MIB))
		return;
	REQUIRE_EQ(resize(b, d.point, 64 * MIB).code, ERROR_OK);
	REQUIRE_EQ(resize(b, d.point, 32 * MIB).code, ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(resize(b, d.node, 64 * MIB).code, ERROR_OK);
	REQUIRE_EQ(resize(b, d.node, 65 * MIB).code, ERROR_OUT_OF_RANGE);
	a = usage(b, d.point);
	REQUIRE_EQ(a.err.code, ERROR_OK);
	REQUIRE(!a.usage.is_abnormal);
	REQUIRE_GT(a.usage.total, 50 * MIB);
	(void)snprintf(trigger, sizeof(trigger), "/sys/fs/ext4/%s/trigger_fs_error",
		       d.node + strlen("/dev/"));
	if (write_text_at(AT_FDCWD, trigger, "a test") == 0) {
		a = usage(b, d.point);
		REQUIRE_EQ(a.err.code, ERROR_OK);
		REQUIRE(a.usage.is_abnormal);
		REQUIRE_STR(a.usage.message, "the file system has recorded 1 errors");
		/* Kernels differ in what they show of a file system that turned read-only. */
		REQUIRE_EQ(mount(NULL, d.point, NULL, MS_REMOUNT, "errors=remount-ro"), 0);
		REQUIRE_EQ(write_text_at(AT_FDCWD, trigger, "a test"), 0);
		a = usage(b, d.point);
		REQUIRE_EQ(a.err.code, ERROR_OK);
		REQUIRE(a.usage.is_abnormal);
		REQUIRE_HAS(a.usage.message, "error");
	}
	disk_end(&d);
}

/* ---- memory volumes ---- */

static struct storage_spec
remount(struct bench *b, const char *name, const char *const *options, size_t n)
{
	struct storage_spec s = memory(b, name);

	s.options = options;
	s.n_options = n;
	return s;
}

AGENT_TEST(storage_volume, a_tmpfs_gets_another_size_and_keeps_the_rest)
{
	static const char *const sized[] = { "nosuid", "noexec", "size=8M", "nr_inodes=100" };
	static const char *const larger[] = { "remount", "size=12M", "fsgid=7" };
	static const char *const joined[] = { "remount,size=13M,nodev,noatime,nodiratime" };
	static const char *const small[] = { "remount", "size=1M" };
	static const char *const bad[] = { "remount", "nosuch=1" };
	struct storage_spec s = remount(b, "v", sized, 4);
	struct statvfs st;
	struct answer a;

	/* not mounted yet: for the sandbox; a second time, nothing */
	REQUIRE_EQ(update(b, &s, 1).code, ERROR_OK);
	REQUIRE_EQ(update(b, &s, 1).code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(size_of(at(b, "v")), 8 * MIB);
	put_file(b, "v/file");
	REQUIRE_EQ(truncate(at(b, "v/file"), 4 * MIB), 0);
	{
		auto_close int fd = open(at(b, "v/file"), O_WRONLY | O_CLOEXEC);
		REQUIRE_EQ(fallocate(fd, 0, 0, 4 * MIB), 0);
	}
	s = remount(b, "v", larger, 3);
	REQUIRE_EQ(update(b, &s, 1).code, ERROR_OK);
	REQUIRE_EQ(size_of(at(b, "v")), 12 * MIB);
	REQUIRE_EQ(statvfs(at(b, "v"), &st), 0);
	REQUIRE_EQ(st.f_files, 100);
	REQUIRE_EQ(st.f_flag & (ST_NOSUID | ST_NOEXEC | ST_NODEV), ST_NOSUID | ST_NOEXEC);
	REQUIRE(exists(b, "v/file"));
	s = remount(b, "v", joined, 1);
	REQUIRE_EQ(update(b, &s, 1).code, ERROR_OK);
	REQUIRE_EQ(size_of(at(b, "v")), 13 * MIB);
	REQUIRE_EQ(statvfs(at(b, "v"), &st), 0);
	REQUIRE((st.f_flag & ST_NODEV));
	REQUIRE((st.f_flag & ST_NOSUID));
	REQUIRE((st.f_flag & ST_NOATIME) && (st.f_flag & ST_NODIRATIME) &&
		!(st.f_flag & ST_RELATIME));
	s = remount(b, "v", small, 2);
	REQUIRE_HAS(update(b, &s, 1).msg, "Too small a size");
	s = remount(b, "v", bad, 2);
	REQUIRE_HAS(update(b, &s, 1).msg, "nosuch");
	REQUIRE_EQ(size_of(at(b, "v")), 13 * MIB);
	a = usage(b, at(b, "v"));
	REQUIRE_EQ(a.err.code, ERROR_OK);
	REQUIRE_EQ(a.usage.total, 13 * MIB);
	REQUIRE_EQ(a.usage.used, 4 * MIB);
	REQUIRE_EQ(a.usage.available, 9 * MIB);
	REQUIRE_EQ(a.usage.inodes, 100);
	REQUIRE_EQ(a.usage.inodes_used, 2);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}

AGENT_TEST(storage_volume, all_of_an_update_or_nothing)
{
	static const char *const sized[] = { "size=8M" };
	static const char *const larger[] = { "remount", "size=12M" };
	static const char *const small[] = { "remount", "size=4k" };
	struct storage_spec s[3] = { remount(b, "a", sized, 1), remount(b, "b", sized, 1) };

	REQUIRE_EQ(acquire(b, "", s, 2).code, ERROR_OK);
	put_file(b, "b/file");
	{
		auto_close int fd = open(at(b, "b/file"), O_WRONLY | O_CLOEXEC);
		REQUIRE_EQ(fallocate(fd, 0, 0, 4 * MIB), 0);
	}
	/* the second is found out when it is tried, the third before anything is */
	s[0] = remount(b, "a", larger, 2);
	s[1] = remount(b, "b", small, 2);
	REQUIRE_EQ(update(b, s, 2).code, ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(size_of(at(b, "a")), 8 * MIB);
	REQUIRE_EQ(size_of(at(b, "b")), 8 * MIB);
	s[1] = remount(b, "b", larger, 2);
	s[2] = remount(b, "nothing", larger, 2);
	REQUIRE_NE(update(b, s, 3).code, ERROR_OK);
	REQUIRE_EQ(size_of(at(b, "a")), 8 * MIB);
	REQUIRE_EQ(size_of(at(b, "b")), 8 * MIB);
	REQUIRE_EQ(update(b, s, 2).code, ERROR_OK);
	REQUIRE_EQ(size_of(at(b, "a")), 12 * MIB);
	REQUIRE_EQ(size_of(at(b, "b")), 12 * MIB);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}

AGENT_TEST(storage_volume, what_nobody_waits_for_goes_on)
{
	static const char *const sized[] = { "size=8M" };
	static const char *const larger[] = { "remount", "size=12M" };
	struct storage_spec s = remount(b, "a", sized, 1);
	struct volume_parts p = parts(b);
	struct answer a = { 0 };
	struct result r = { 0 };
	struct pending *u, *look;

	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	s = remount(b, "a", larger, 2);
	u = ephemeral_update(&p, &s, 1, on_done, &r, &r.err);
	look = volume_usage(&p, at(b, "a"), on_usage, &a, &a.err);
	REQUIRE(u && look);
	pending_cancel(&u);
	pending_cancel(&look);
	UNTIL(b, jobs_running(b->jobs) == 0 && size_of(at(b, "a")) == 12 * MIB);
	REQUIRE_EQ(r.ended, 0);
	REQUIRE_EQ(a.ended, 0);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}
