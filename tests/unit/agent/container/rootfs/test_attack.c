/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks of a hostile image or spec with files and mounts. Each case checks the container's view
 * and that the agent's side is unchanged. /box/outside represents the guest's own files.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

/* Removes a path of the root. */
static void
clear_path(const char *name)
{
	struct error err = ERROR_INIT;
	auto_close int root = open(BOX_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);

	REQUIRE_GE(root, 0);
	REQUIRE_OK(path_remove_tree(root, name, &err), &err);
}

static size_t
count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void
body_dev_link(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	REQUIRE_EQ(mkdir("/box/outside", 0755), 0);
	box_write("/box/outside/ptmx", "marker");
	clear_path("dev");
	REQUIRE_EQ(symlink("/box/outside", BOX_ROOT "/dev"), 0);
	/* with a tmpfs in the spec, and without */
	box_refuse(b, s, ERROR_INTERNAL, "/dev");
	spec_unmount(s, "/dev");
	spec_unmount(s, "/dev/pts");
	spec_unmount(s, "/dev/shm");
	spec_unmount(s, "/dev/mqueue");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/dev");
	/* a relative link out of the root ends at the root: made there, or refused */
	clear_path("dev");
	REQUIRE_EQ(symlink("../outside", BOX_ROOT "/dev"), 0);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/dev");
	REQUIRE_STR(box_read("/box/outside/ptmx"), "marker");
	REQUIRE_EQ(count_entries("/box/outside"), 1);
}

Test(attack, dev_is_a_link)
{
	in_box(body_dev_link);
}

static void
body_proc_link(struct box *b)
{
	static const char *const names[] = { "proc", "sys" };

	REQUIRE_EQ(mkdir("/box/outside", 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), BOX_ROOT "/%s", names[i]);
		clear_path(names[i]);
		REQUIRE_EQ(symlink("/tmp", path), 0);
		box_refuse(b, spec_new(BOX_ROOT), ERROR_INVALID_ARGUMENT,
			   "is not a real directory");
		clear_path(names[i]);
		box_write(path, "a file");
		box_refuse(b, spec_new(BOX_ROOT), ERROR_INVALID_ARGUMENT,
			   "is not a real directory");
		clear_path(names[i]);
		REQUIRE_EQ(mkdir(path, 0755), 0);
	}
	REQUIRE_EQ(count_entries("/box/outside"), 0);
}

Test(attack, proc_is_a_link)
{
	in_box(body_proc_link);
}

static void
body_destinations(struct box *b)
{
	static const struct {
		const char *link, *target, *dest;
		/* The expected place inside the root; NULL: refused. */
		const char *inside;
	} rows[] = {
		/* dangling inside the root */
		{ "tmp/abs", "/box/outside", "/tmp/abs/x", NULL },
		{ "tmp/abs2", "/etc", "/tmp/abs2/x", "/etc/x" },
		{ "tmp/rel", "../../../../../../etc", "/tmp/rel/y", "/etc/y" },
		{ "tmp/trail", "/etc", "/tmp/trail", "/etc" },
		{ "tmp/up", "/../../..", "/tmp/up/top", "/top" },
	};

	REQUIRE_EQ(mkdir("/box/outside", 0755), 0);
	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	box_write("/box/volume/token", "v");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);
		char path[128], script[128];

		snprintf(path, sizeof(path), BOX_ROOT "/%s", rows[i].link);
		REQUIRE_EQ(symlink(rows[i].target, path), 0);
		spec_mount(s, rows[i].dest, "bind", "/box/volume", "rbind");
		if (rows[i].inside) {
			snprintf(script, sizeof(script), "cat %s/token", rows[i].inside);
			box_sh(b, s, script, "v");
		} else {
			box_refuse(b, s, ERROR_INTERNAL, rows[i].dest);
		}
		REQUIRE_EQ(count_entries("/box/outside"), 0);
		REQUIRE(!box_exists("/box/top") && !box_exists("/top"));
	}
	/* .. in the destination itself */
	Grpc__Spec *s = spec_new(BOX_ROOT);
	spec_mount(s, "/tmp/../../x", "bind", "/box/volume", "rbind");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "mounts.destination");
	/* an existing file is covered, not truncated; a missing one is made */
	s = spec_new(BOX_ROOT);
	box_write(BOX_ROOT "/etc/precious", "content");
	spec_mount(s, "/etc/precious", "bind", "/box/volume/token", "bind,ro");
	spec_mount(s, "/etc/new/file", "bind", "/box/volume/token", "bind,ro");
	box_sh(b, s,
	       "cat /etc/precious /etc/new/file; echo x 2>/dev/null > /etc/precious || echo ro",
	       "vvro\n");
	REQUIRE_STR(box_read(BOX_ROOT "/etc/precious"), "content");
	REQUIRE_STR(box_read("/box/volume/token"), "v");
}

Test(attack, destinations_through_links)
{
	in_box(body_destinations);
}

/* Exchanges two names indefinitely, like another container with the same volume. */
static pid_t
start_flipping(const char *one, const char *two)
{
	pid_t agent = getpid(), pid = fork();

	REQUIRE_GE(pid, 0);
	if (pid > 0)
		return pid;
	die_with_parent(agent);
	for (;;)
		(void)sys_renameat2(AT_FDCWD, one, AT_FDCWD, two, SYS_RENAME_EXCHANGE);
}

static void
body_race(struct box *b)
{
	int landed = 0, refused = 0;
	pid_t flipper;

	REQUIRE_EQ(mkdir("/box/outside", 0755), 0);
	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	REQUIRE_EQ(mkdir("/box/volume/dir", 0755), 0);
	REQUIRE_EQ(symlink("/box/outside", "/box/volume/link"), 0);
	flipper = start_flipping("/box/volume/dir", "/box/volume/link");
	for (int i = 0; i < 100; i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);
		struct box_container c;

		spec_mount(s, "/vol", "bind", "/box/volume", "rbind");
		spec_mount(s, "/vol/dir/inner", "tmpfs", "tmpfs", "");
		if (box_launch(b, &c, "c1", s) == 0) {
			landed++;
			box_remove(b, &c);
		} else {
			refused++;
		}
		REQUIRE_EQ(count_entries("/box/outside"), 0);
	}
	b->error = ERROR_INIT;
	REQUIRE_EQ(kill(flipper, SIGKILL), 0);
	REQUIRE_EQ(waitpid(flipper, NULL, 0), flipper);
	fprintf(stderr, "race: %d mounted, %d refused\n", landed, refused);
	REQUIRE_GT(landed, 0);
}

Test(attack, volume_race, .timeout = 120)
{
	in_box(body_race);
}

static void
body_over_proc(struct box *b)
{
	static const char *const refused[] = {
		"/proc/self/attr",  "/proc/sys",  "/proc/1",
		"/proc/sys/kernel", "/alias/sys", "/proc/self/task",
	};
	static const char *const allowed[] = { "/proc/cpuinfo", "/proc/uptime", "/proc/meminfo" };
	Grpc__Spec *s;

	REQUIRE_EQ(symlink("/proc", BOX_ROOT "/alias"), 0);
	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	box_write("/box/volume/file", "fake\n");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		s = spec_new(BOX_ROOT);
		spec_mount(s, refused[i], "bind", "/box/volume", "rbind");
		box_refuse(b, s, ERROR_INVALID_ARGUMENT, "inside a procfs");
		s = spec_new(BOX_ROOT);
		spec_mount(s, refused[i], "tmpfs", "tmpfs", "");
		box_refuse(b, s, ERROR_INVALID_ARGUMENT, "inside a procfs");
	}
	/* Another file system than a procfs at /proc, before or after the real one. */
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/proc", "tmpfs", "tmpfs", "");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/proc");
	s = spec_new(BOX_ROOT);
	spec_unmount(s, "/proc");
	spec_mount(s, "//proc/", "bind", "/box/volume", "rbind");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/proc");
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/alias", "tmpfs", "tmpfs", "");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "procfs");
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		char script[64];

		s = spec_new(BOX_ROOT);
		spec_mount(s, allowed[i], "bind", "/box/volume/file", "rbind");
		snprintf(script, sizeof(script), "cat %s", allowed[i]);
		box_sh(b, s, script, "fake\n");
	}
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/procx", "bind", "/box/volume", "rbind");
	box_sh(b, s, "cat /procx/file", "fake\n");
}

Test(attack, mounts_over_proc)
{
	in_box(body_over_proc);
}

static void
body_masks(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	/* an image's own /dev/null must not become what masks a file */
	REQUIRE_EQ(mkdir(BOX_ROOT "/secret", 0755), 0);
	box_write(BOX_ROOT "/secret/file", "hidden");
	box_write(BOX_ROOT "/plain", "hidden");
	REQUIRE_EQ(symlink("/plain", BOX_ROOT "/link"), 0);
	REQUIRE_EQ(symlink("/proc/uptime", BOX_ROOT "/fakenull"), 0);
	spec_mask(s, "/secret");
	spec_mask(s, "/link");
	spec_mask(s, "/missing");
	spec_mask(s, "/plain/not/a/directory");
	spec_mask(s, "/secret");
	box_sh(b, s,
	       "ls /secret; touch /secret/x 2>&1; cat /plain; echo x > /plain; "
	       "stat -c %t:%T /plain; ls /sys/firmware; stat -c %t:%T /proc/keys",
	       "touch: /secret/x: Read-only file system\n1:3\n1:3\n");
	REQUIRE_STR(box_read(BOX_ROOT "/plain"), "hidden");
	/* without a tmpfs on /dev: the image's null is a link to a file of procfs */
	s = spec_new(BOX_ROOT);
	spec_unmount(s, "/dev");
	REQUIRE_EQ(symlink("/proc/uptime", BOX_ROOT "/dev/null"), 0);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "create device null");
}

Test(attack, masked_paths)
{
	in_box(body_masks);
}

static void
body_readonly(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	REQUIRE_EQ(mkdir(BOX_ROOT "/ro", 0755), 0);
	REQUIRE_EQ(mkdir(BOX_ROOT "/ro/below", 0755), 0);
	spec_mount(s, "/ro/below", "bind", "/box/volume", "rbind");
	spec_readonly(s, "/ro");
	spec_readonly(s, "/missing");
	spec_readonly(s, "/ro");
	box_sh(b, s,
	       "touch /ro/x 2>&1; touch /ro/below/x 2>&1; "
	       "echo 1 2>&1 > /proc/sys/kernel/domainname; true",
	       "touch: /ro/x: Read-only file system\ntouch: /ro/below/x: Read-only file system\n"
	       "/bin/sh: can't create /proc/sys/kernel/domainname: Read-only file system\n");
	REQUIRE_EQ(count_entries("/box/volume"), 0);
}

Test(attack, readonly_paths)
{
	in_box(body_readonly);
}

static void
body_sysctl(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	/* The image's /proc/sys is not used, and a name with ".." is refused. */
	spec_sysctl(s, "kernel.msgmax", "9000");
	spec_sysctl(s, "kernel/domainname", "example");
	box_sh(b, s, "cat /proc/sys/kernel/msgmax /proc/sys/kernel/domainname", "9000\nexample\n");
	s = spec_new(BOX_ROOT);
	spec_sysctl(s, "net/../kernel/core_pattern", "|/x");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "linux.sysctl");
	s = spec_new(BOX_ROOT);
	spec_sysctl(s, "kernel.core_pattern", "|/x");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "linux.sysctl");
	/* Without a procfs in the container the parameter is still set. */
	s = spec_new(BOX_ROOT);
	spec_unmount(s, "/proc");
	spec_mask(s, "");
	spec_readonly(s, "");
	REQUIRE_EQ(mkdir(BOX_ROOT "/proc/sys", 0755), 0);
	REQUIRE_EQ(mkdir(BOX_ROOT "/proc/sys/kernel", 0755), 0);
	box_write(BOX_ROOT "/proc/sys/kernel/domainname", "canary");
	spec_sysctl(s, "kernel.domainname", "changed");
	box_sh(b, s, "cat /proc/sys/kernel/domainname; mount -t proc proc /tmp 2>/dev/null; true",
	       "canary");
}

Test(attack, sysctl_through_a_fake_proc)
{
	in_box(body_sysctl);
}

static void
body_cgroup_mount(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	struct box_container c;

	if (b->roots.cgroup < 0)
		return;
	spec_mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro");
	spec_sh(s->process,
		"grep '^0:' /proc/self/cgroup; ls -d /sys/fs/cgroup/pods; mkdir /sys/fs/cgroup/x");
	REQUIRE_EQ(box_run(b, &c, s), 1);
	REQUIRE_HAS(c.init.output, "0::/\n");
	REQUIRE_HAS(c.init.output, "pods: No such file");
	REQUIRE_HAS(c.init.output, "Read-only file system");
	/* the place is a link in the image */
	s = spec_new(BOX_ROOT);
	spec_unmount(s, "/sys");
	spec_mask(s, "");
	REQUIRE_EQ(mkdir(BOX_ROOT "/sys/fs", 0755), 0);
	REQUIRE_EQ(symlink("/etc", BOX_ROOT "/sys/fs/cgroup"), 0);
	spec_mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", "ro");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "is not a real directory");
}

Test(attack, cgroup_mount)
{
	in_box(body_cgroup_mount);
}

static void
body_propagation(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	struct box_container c;

	/* The guest's mounts are shared, as under systemd: mounts of the container must not
	 * propagate back. */
	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
	spec_mount(s, "/vol", "bind", "/box/volume", "rbind");
	*s->process->capabilities = (Grpc__LinuxCapabilities)GRPC__LINUX_CAPABILITIES__INIT;
	s->process->capabilities->bounding = s->process->capabilities->effective =
		s->process->capabilities->permitted =
			spec_names(&s->process->capabilities->n_bounding, "CAP_SYS_ADMIN", NULL);
	s->process->capabilities->n_effective = s->process->capabilities->n_permitted = 1;
	spec_sh(s->process,
		"for i in $(seq 1 50); do mount -t tmpfs x /vol || exit 1; done; echo mounted");
	REQUIRE_EQ(box_run(b, &c, s), 0);
	REQUIRE_STR(c.init.output, "mounted\n");
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

Test(attack, propagation)
{
	in_box(body_propagation);
}

static void
body_devices(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__LinuxDevice *d;

	spec_device(s, "/dev/fd/../x", "c", 1, 3);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "linux.devices");
	s = spec_new(BOX_ROOT);
	spec_device(s, "/dev", "c", 1, 3);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "linux.devices");
	s = spec_new(BOX_ROOT);
	spec_device(s, "/etc/x", "c", 1, 3);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "linux.devices");
	/* below a link of /dev: confined to /dev, where nothing is called so */
	s = spec_new(BOX_ROOT);
	spec_device(s, "/dev/fd/x", "c", 1, 3);
	box_refuse(b, s, ERROR_INTERNAL, "fd/x");
	s = spec_new(BOX_ROOT);
	/* the same once more */
	spec_device(s, "/dev/null", "c", 1, 3);
	d = spec_device(s, "/dev/deep/er/zero", "c", 1, 5);
	d->filemode = 0640;
	d->uid = 7;
	d->gid = 8;
	spec_device(s, "/dev/pipe", "p", 0, 0)->filemode = 0600;
	box_sh(b, s, "stat -c '%t:%T %a %u:%g %F' /dev/deep/er/zero /dev/null /dev/pipe",
	       "1:5 640 7:8 character special file\n1:3 666 0:0 character special file\n"
	       "0:0 600 0:0 fifo\n");
	/* A default device with other mode and owner is replaced; two devices with one name are
	 * refused. */
	s = spec_new(BOX_ROOT);
	d = spec_device(s, "/dev/null", "c", 1, 5);
	d->filemode = 0604;
	d->gid = 9;
	box_sh(b, s, "stat -c '%t:%T %a %u:%g' /dev/null", "1:5 604 0:9\n");
	spec_device(s, "/dev/null", "c", 1, 3);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "another file exists at this path");
}

Test(attack, device_nodes)
{
	in_box(body_devices);
}

static void
body_passwd(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	REQUIRE_EQ(unlink(BOX_ROOT "/etc/passwd"), 0);
	REQUIRE_EQ(mkfifo(BOX_ROOT "/etc/passwd", 0644), 0);
	box_sh(b, s, "echo $HOME", "/\n");
	REQUIRE_EQ(unlink(BOX_ROOT "/etc/passwd"), 0);
	REQUIRE_EQ(symlink("/dev/zero", BOX_ROOT "/etc/passwd"), 0);
	box_sh(b, s, "echo $HOME", "/\n");
	REQUIRE_EQ(unlink(BOX_ROOT "/etc/passwd"), 0);
	box_write(BOX_ROOT "/etc/passwd", "");
	REQUIRE_EQ(truncate(BOX_ROOT "/etc/passwd", 1 << 30), 0);
	box_sh(b, s, "echo $HOME", "/\n");
}

Test(attack, passwd)
{
	in_box(body_passwd);
}

static void
body_bare(struct box *b)
{
	Grpc__Spec *s = spec_new("/box/bare");
	struct box_container c;

	/* nothing but one program */
	REQUIRE_EQ(mkdir("/box/bare", 0755), 0);
	REQUIRE_EQ(rename(BOX_ROOT "/bin/busybox", "/box/bare/busybox"), 0);
	spec_args(s->process, "/busybox", "echo", "bare", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 0);
	REQUIRE_STR(c.init.output, "bare\n");
}

Test(attack, bare_image)
{
	in_box(body_bare);
}
