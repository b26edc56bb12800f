/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that try to have something of the guest mounted, written or covered: links in place of
 * directories, names that change during the set-up, another file system at /proc. Each case also
 * checks the link's target outside the root; after every case, no mount must be left in the guest.
 * See oci.h.
 */
#include <string.h>

#include "tests/oci/oci.h"

#define MANY 1000

/* Creates a directory outside the root, as the guest names it, with a marker in it. */
static char *
outside(struct oci *t)
{
	(void)oci_rootfs(t);
	oci_dir(t, "outside", 0755);
	oci_file(t, "outside/ptmx", 0644, "marker");
	return oci_str(t, "%s/outside", t->h.rootfs);
}

/* Returns a spec whose root is a directory below the private one, so that its siblings are
 * outside. */
static Grpc__Spec *
inner(struct oci *t, Grpc__Spec *spec)
{
	spec->root->path = oci_str(t, "%s/inner", t->h.rootfs);
	return spec;
}

static void
make_inner(struct oci *t)
{
	static const char *const dirs[] = { "inner",      "inner/bin", "inner/etc", "inner/tmp",
					    "inner/proc", "inner/sys", "inner/dev" };
	char out[256];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		oci_dir(t, dirs[i], 0755);
	CHECK_OK(oci_run(t,
			 oci_sh(t, "cp /bin/busybox /inner/bin/ && "
				   "for i in sh cat; do ln -s busybox /inner/bin/$i; done"),
			 out, sizeof(out)),
		 &t->err);
}

static void
untouched(struct oci *t, const char *doing)
{
	char out[256];
	Grpc__Spec *spec = oci_sh(t, "ls /outside");

	CHECK(oci_run(t, spec, out, sizeof(out)) == 0 && strcmp(out, "ptmx\n") == 0,
	      "%s: outside is now: %s", doing, out);
	CHECK_STR(oci_file_text(t, "outside/ptmx"), "marker", "%s: the marker", doing);
}

static void
dev_is_a_link(struct oci *t)
{
	static const char *const dev[] = { "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue" };
	char *place = outside(t);
	Grpc__Spec *spec;

	make_inner(t);
	for (int i = 0; i < 2; i++) {
		oci_link(t, "inner/dev", i ? "../outside" : place);
		spec = inner(t, oci_sh(t, "true"));
		CHECK_LT(oci_create(t, "c1", spec), 0, "a link at /dev with a tmpfs");
		for (size_t k = 0; k < ARRAY_LEN(dev); k++)
			oci_mount_drop(spec, dev[k]);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "/dev");
		untouched(t, "a link at /dev");
	}
}

static void
proc_is_a_link(struct oci *t)
{
	static const char *const names[] = { "proc", "sys" };
	char *place = outside(t);

	make_inner(t);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = oci_str(t, "inner/%s", names[i]);

		oci_link(t, path, place);
		OCI_REFUSED(t, inner(t, oci_sh(t, "true")), ERROR_INVALID_ARGUMENT,
			    "is not a real directory");
		oci_link(t, path, "/tmp");
		OCI_REFUSED(t, inner(t, oci_sh(t, "true")), ERROR_INVALID_ARGUMENT,
			    "is not a real directory");
		oci_unlink(t, path);
		oci_file(t, path, 0644, "a file");
		OCI_REFUSED(t, inner(t, oci_sh(t, "true")), ERROR_INVALID_ARGUMENT,
			    "is not a real directory");
		oci_unlink(t, path);
		oci_dir(t, path, 0755);
		untouched(t, names[i]);
	}
}

static void
destinations(struct oci *t)
{
	const struct {
		/* inside: NULL if refused */
		const char *link, *target, *dest, *inside;
	} rows[] = {
		/* dangling inside the root */
		{ "inner/tmp/abs", outside(t), "/tmp/abs/x", NULL },
		{ "inner/tmp/in", "/etc", "/tmp/in/x", "/etc/x" },
		{ "inner/tmp/rel", "../../../../outside", "/tmp/rel/y", NULL },
		{ "inner/tmp/up", "../../../../../../etc", "/tmp/up/z", "/etc/z" },
		{ "inner/tmp/trail", "/etc", "/tmp/trail", "/etc" },
		{ "inner/tmp/top", "/../../..", "/tmp/top/new", "/new" },
		{ "inner/tmp/root", "/", "/tmp/root", NULL },
		{ "inner/tmp/magic", "/proc/self/cwd", "/tmp/magic/x", NULL },
		{ "inner/tmp/fd", "/proc/self/fd/3", "/tmp/fd", NULL },
	};
	char *volume = oci_str(t, "%s/volume", t->h.rootfs);

	oci_dir(t, "volume", 0755);
	oci_file(t, "volume/token", 0644, "v\n");
	make_inner(t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *spec =
			inner(t, oci_sh(t, "cat %s/token", rows[i].inside ? rows[i].inside : "/"));

		oci_link(t, rows[i].link, rows[i].target);
		oci_mount(t, spec, rows[i].dest, "bind", volume, "rbind");
		if (rows[i].inside)
			OCI_PRINTS(t, spec, "v\n");
		else
			CHECK_LT(oci_create(t, "c1", spec), 0, "%s went somewhere", rows[i].dest);
		untouched(t, rows[i].dest);
	}
	Grpc__Spec *spec = inner(t, oci_sh(t, "true"));
	oci_mount(t, spec, "/tmp/../../x", "bind", volume, "rbind");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "mounts.destination");
}

/* Another container with the same volume exchanges a directory and a link while mounts are
 * created below. */
static void
race(struct oci *t)
{
	int landed = 0, refused = 0, rounds = t->h.soak ? 2000 : 100;
	char *place = outside(t), *volume = oci_str(t, "%s/volume", t->h.rootfs);
	Grpc__Spec *spec;

	oci_dir(t, "volume", 0777);
	oci_dir(t, "volume/dir", 0777);
	oci_link(t, "volume/link", place);
	spec = oci_spec(t, ARGS("/bin/oci-probe", "flip", "/vol/dir", "/vol/link"));
	oci_mount(t, spec, "/vol", "bind", volume, "rbind");
	if (!CHECK_OK(oci_launch(t, "flipper", spec), &t->err))
		return;
	for (int i = 0; i < rounds; i++) {
		spec = oci_sh(t, "true");
		oci_mount(t, spec, "/vol", "bind", volume, "rbind");
		oci_mount(t, spec, "/vol/dir/inner", "tmpfs", "tmpfs", "");
		if (oci_create(t, "c1", spec) == 0) {
			landed++;
			if (!CHECK_OK(oci_remove(t, "c1"), &t->err))
				return;
		} else {
			refused++;
		}
	}
	if (!CHECK_OK(oci_remove(t, "flipper"), &t->err))
		return;
	printf("# race: %d mounted, %d refused\n", landed, refused);
	CHECK_GT(landed, 0, "none of %d was mounted", rounds);
	untouched(t, "the race");
}

static void
over_proc(struct oci *t)
{
	static const char *const bad[] = {
		"/proc/self/attr", "/proc/sys", "/proc/1",         "/proc/sys/kernel",
		"/alias/sys",      "/alias",    "/proc/self/task", "/proc/sysrq-trigger",
	};
	static const char *const good[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo",
					    "/proc/stat",    "/proc/swaps",     "/proc/uptime",
					    "/proc/loadavg" };
	Grpc__Spec *spec;
	char *volume;

	(void)oci_rootfs(t);
	oci_link(t, "alias", "/proc");
	oci_dir(t, "volume", 0755);
	oci_file(t, "volume/file", 0644, "fake\n");
	volume = oci_str(t, "%s/volume", t->h.rootfs);
	for (size_t i = 0; i < 2 * ARRAY_LEN(bad); i++) {
		spec = oci_sh(t, "true");
		oci_mount(t, spec, bad[i / 2], i % 2 ? "tmpfs" : "bind", volume, "");
		CHECK(oci_create(t, "c1", spec) < 0 && strstr(t->err.msg, "proc"), "%s as %zu: %s",
		      bad[i / 2], i % 2, t->err.msg);
	}
	spec = oci_sh(t, "true");
	oci_mount_find(spec, "/proc")->type = oci_str(t, "tmpfs");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "only a procfs");
	spec = oci_sh(t, "true");
	oci_mount_drop(spec, "/proc");
	oci_mount(t, spec, "/./proc//", "bind", volume, "rbind");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "only a procfs");
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		spec = oci_sh(t, "cat %s /procx/file", good[i]);
		oci_mount(t, spec, good[i], "bind", oci_str(t, "%s/file", volume), "rbind");
		oci_mount(t, spec, "/procx", "bind", volume, "rbind");
		OCI_PRINTS(t, spec, "fake\nfake\n");
	}
}

/* A masked file is covered by the guest's null device, whatever the image has in /dev. */
static void
fake_null(struct oci *t)
{
	static const char *const dev[] = { "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue" };
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_file(t, "etc/secret", 0644, "secret");
	oci_unlink(t, "dev");
	oci_dir(t, "dev", 0755);
	oci_link(t, "dev/null", "/proc/sys/kernel/core_pattern");
	spec = oci_sh(t, "stat -c %%t:%%T /etc/secret; cat /etc/secret");
	oci_append(t, &spec->linux->maskedpaths, &spec->linux->n_maskedpaths, "/etc/secret");
	OCI_PRINTS(t, spec, "1:3\n");
	for (size_t i = 0; i < ARRAY_LEN(dev); i++)
		oci_mount_drop(spec, dev[i]);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "create device null");
}

/* With fake files in place of a procfs at /proc, parameters reach the kernel and the files stay
 * unchanged. */
static void
fake_proc(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_unlink(t, "proc");
	oci_dir(t, "proc", 0755);
	oci_dir(t, "proc/sys", 0755);
	oci_dir(t, "proc/sys/kernel", 0755);
	oci_file(t, "proc/sys/kernel/msgmnb", 0666, "canary");
	oci_file(t, "proc/sysrq-trigger", 0666, "canary");
	spec = oci_sh(t, "cat /proc/sys/kernel/msgmnb");
	oci_mount_drop(spec, "/proc");
	spec->linux->n_maskedpaths = spec->linux->n_readonlypaths = 0;
	oci_sysctl(t, spec, "kernel.msgmnb", "17001");
	OCI_PRINTS(t, spec, "canary");
	OCI_PRINTS(t, oci_sh(t, "cat /proc/sys/kernel/msgmnb"), "17001\n");
	CHECK_STR(oci_file_text(t, "proc/sysrq-trigger"), "canary", "written to");
}

static void
cgroup_mount(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/pods 2>/dev/null; "
			  "mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused; "
			  "cat /sys/fs/cgroup/cgroup.procs | wc -l");

	oci_mount_drop(spec, "/sys/fs/cgroup");
	oci_mount(t, spec, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro");
	OCI_SAYS(t, spec, "0::/\nrefused\n");
	(void)oci_rootfs(t);
	oci_dir(t, "sys", 0755);
	oci_dir(t, "sys/fs", 0755);
	oci_link(t, "sys/fs/cgroup", "/etc");
	spec = oci_sh(t, "true");
	oci_mount_drop(spec, "/sys");
	spec->linux->n_maskedpaths = spec->linux->n_readonlypaths = 0;
	oci_mount_drop(spec, "/sys/fs/cgroup");
	oci_mount(t, spec, "/sys/fs/cgroup", "cgroup", "cgroup", "ro");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "is not a real directory");
}

/* The number of the guest's mounts does not change while a container mounts many. */
static void
propagation(struct oci *t)
{
	static const char *const words[] = { "", "rshared", "rslave", "rprivate" };
	char before[64], during[64];

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		Grpc__Spec *spec = oci_sh(t,
					  "i=0; while [ $i -lt %d ]; do mount -t tmpfs x /mnt || "
					  "exit 1; i=$((i + 1)); done; echo ready; sleep 1000",
					  t->h.soak ? MANY : 50);

		oci_caps(t, spec->process, "CAP_SYS_ADMIN");
		oci_mount(t, spec, "/mnt", "tmpfs", "tmpfs", words[i]);
		spec->linux->rootfspropagation = oci_str(t, "%s", words[i]);
		if (!CHECK_OK(oci_create(t, "c1", spec), &t->err))
			return;
		if (!CHECK_OK(oci_guest(t, before, sizeof(before), "wc -l < $P/$A/mountinfo"),
			      &t->err))
			return;
		if (!CHECK(oci_start(t, "c1") == 0 && oci_read_line(t, "c1", "", "ready") == 0,
			   "\"%s\": %s", words[i], t->err.msg))
			return;
		if (!CHECK_OK(oci_guest(t, during, sizeof(during), "wc -l < $P/$A/mountinfo"),
			      &t->err))
			return;
		CHECK_STR(before, during, "\"%s\": %s mounts, then %s", words[i], before, during);
		if (!CHECK_OK(oci_remove(t, "c1"), &t->err))
			return;
	}
}

static void
many_mounts(struct oci *t)
{
	Grpc__Spec *spec;
	char *volume;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "grep -c ' /m[/ ]' /proc/self/mountinfo; cat /m/0998/f");
	oci_dir(t, "volume", 0755);
	oci_file(t, "volume/f", 0644, "here\n");
	volume = oci_str(t, "%s/volume", t->h.rootfs);
	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "");
	for (int i = 1; i < MANY; i++)
		oci_mount(t, spec, oci_str(t, "/m/%04d", i), i % 2 ? "tmpfs" : "bind",
			  i % 2 ? "tmpfs" : volume, i % 2 ? "" : "rbind");
	OCI_PRINTS(t, spec, oci_str(t, "%d\nhere\n", MANY));
}

static void
bare(struct oci *t)
{
	Grpc__Spec *spec;
	char out[64];

	(void)oci_rootfs(t);
	oci_dir(t, "inner", 0755);
	if (!CHECK_OK(oci_run(t, oci_sh(t, "cp /bin/busybox /inner/"), out, sizeof(out)), &t->err))
		return;
	for (int i = 0; i < 2; i++) {
		spec = inner(t, oci_spec(t, ARGS("/busybox", "ls", "/")));
		spec->root->readonly = i;
		OCI_PRINTS(t, spec, "busybox\ndev\nproc\nsys\n");
	}
}

const struct oci_case oci_rootfs_cases[] = {
	{ "attack", "/dev is a link", dev_is_a_link },
	{ "attack", "/proc or /sys is a link or a file", proc_is_a_link },
	{ "attack", "destinations through links", destinations },
	{ "attack", "a volume that changes during the set-up", race },
	{ "attack", "mounts over /proc", over_proc },
	{ "attack", "a fake null device", fake_null },
	{ "attack", "a fake procfs", fake_proc },
	{ "attack", "the cgroup mount", cgroup_mount },
	{ "attack", "a container's mounts stay private", propagation },
	{ "attack", "a thousand mounts", many_mounts },
	{ "attack", "an image with one program", bare },
};
const size_t n_oci_rootfs_cases = ARRAY_LEN(oci_rootfs_cases);
