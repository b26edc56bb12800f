/* SPDX-License-Identifier: Apache-2.0 */
/* spec_validate and process_validate: one change to a good spec a row, and what the refusal must
 * say. */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "agent/cgroup/path.h"
#include "agent/container/spec/validate.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(validate, .fini = spec_release_all);

typedef void change_fn(Grpc__Spec *s);

#define CHANGE(name, code)              \
	static void name(Grpc__Spec *s) \
	{                               \
		code;                   \
	}

CHANGE(nothing, (void)s)
CHANGE(no_process, s->process = NULL)
CHANGE(no_root, s->root = NULL)
CHANGE(no_linux, s->linux = NULL)
CHANGE(no_args, s->process->n_args = 0)
CHANGE(empty_arg, spec_args(s->process, "", NULL))
CHANGE(no_cwd, s->process->cwd = "")
CHANGE(relative_cwd, s->process->cwd = "tmp")
CHANGE(no_caps, s->process->capabilities = NULL)
CHANGE(relative_root, s->root->path = "rootfs")
CHANGE(root_up, s->root->path = "/a/../b")
CHANGE(oom_low, s->process->oomscoreadj = -1001)
CHANGE(oom_high, s->process->oomscoreadj = 1001)
CHANGE(rlimit_name, spec_rlimit(s->process, "RLIMIT_FUN", 1, 2))
CHANGE(rlimit_order, spec_rlimit(s->process, "RLIMIT_NOFILE", 3, 2))
CHANGE(rlimit_twice, spec_rlimit(s->process, "RLIMIT_CPU", 1, 2);
       spec_rlimit(s->process, "RLIMIT_CPU", 1, 2))
CHANGE(uid_wraps, s->process->user->uid = UINT32_MAX)
CHANGE(gid_wraps, s->process->user->gid = UINT32_MAX)
CHANGE(no_namespaces, s->linux->n_namespaces = 0)
CHANGE(ns_unknown, spec_namespace(s, "magic", ""))
CHANGE(ns_twice, spec_namespace(s, "pid", ""))
CHANGE(ns_join_mount, s->linux->namespaces[3]->path = "/proc/1/ns/mnt")
CHANGE(ns_relative, s->linux->namespaces[3]->path = "ns/mnt")
CHANGE(user_path_maps, spec_user_namespace(s, 1); s->linux->namespaces[4]->path = "/x")
CHANGE(idmap_alone, spec_mount(s, "/x", "bind", "/", "bind,idmap"))
CHANGE(no_mount_ns, s->linux->n_namespaces = 3)
CHANGE(user_without_maps, spec_namespace(s, "user", ""))
CHANGE(maps_without_user, spec_user_namespace(s, 1); s->linux->n_namespaces--)
CHANGE(user_good, spec_user_namespace(s, 100000))
CHANGE(map_exceeds, spec_user_namespace(s, UINT32_MAX - 5))
CHANGE(hostname_long,
       s->hostname = "a23456789012345678901234567890123456789012345678901234567890123456")
CHANGE(hostname_no_uts, s->hostname = "x"; s->linux->namespaces[2]->type = "cgroup")
CHANGE(mount_relative, spec_mount(s, "data", "tmpfs", "x", ""))
CHANGE(mount_up, spec_mount(s, "/a/..", "tmpfs", "x", ""))
CHANGE(mount_dots, spec_mount(s, "/a/..b/...", "tmpfs", "x", ""))
CHANGE(mount_root, spec_mount(s, "//", "tmpfs", "x", ""))
CHANGE(mount_no_type, spec_mount(s, "/a", "", "x", "ro"))
CHANGE(mount_bind_source, spec_mount(s, "/a", "bind", "rel", "ro"))
CHANGE(mount_local, spec_mount(s, "/a", "local", "/x", "rbind"))
CHANGE(device_place, spec_device(s, "/etc/x", "c", 1, 3))
CHANGE(device_dots, spec_device(s, "/dev/a/../b", "c", 1, 3))
CHANGE(device_type, spec_device(s, "/dev/x", "z", 1, 3))
CHANGE(device_number, spec_device(s, "/dev/x", "c", 1, 1 << 20))
CHANGE(device_negative, spec_device(s, "/dev/x", "c", -1, 0))
CHANGE(sysctl_bad, spec_sysctl(s, "kernel.core_pattern", "x"))
CHANGE(sysctl_up, spec_sysctl(s, "net/../kernel/core_pattern", "x"))
CHANGE(sysctl_abs, spec_sysctl(s, "/etc/passwd", "x"))
CHANGE(sysctl_good, spec_sysctl(s, "net/ipv4/conf/eth0.5/forwarding", "1");
       spec_sysctl(s, "fs.mqueue.msg_max", "9"))
CHANGE(sysctl_no_ipc, spec_sysctl(s, "kernel.shmmax", "1");
       s->linux->namespaces[1]->type = "cgroup")
CHANGE(mask_relative, spec_mask(s, "proc/x"))
CHANGE(readonly_up, spec_readonly(s, "/proc/../x"))
CHANGE(propagation, s->linux->rootfspropagation = "sideways")
CHANGE(seccomp_default, s->linux->seccomp = spec_seccomp("SCMP_ACT_MAYBE"))
CHANGE(seccomp_action, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_NOTIFY", "read"))
CHANGE(seccomp_op, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       spec_seccomp_arg(spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", "read"), 0,
			"SCMP_CMP_LIKE", 0, 0))
CHANGE(seccomp_index, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       spec_seccomp_arg(spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", "read"), 6,
			"SCMP_CMP_EQ", 0, 0))
CHANGE(seccomp_arch, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       s->linux->seccomp->architectures = spec_names(&s->linux->seccomp->n_architectures,
						     "SCMP_ARCH_PDP11", NULL))
CHANGE(seccomp_flag, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       s->linux->seccomp->flags = spec_names(&s->linux->seccomp->n_flags, "SECCOMP_FILTER_FLAG_ODD",
					     NULL))
CHANGE(seccomp_errno, s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
       Grpc__LinuxSyscall *r = spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", "read");
       r->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET; r->errnoret = 70000)

static const struct {
	const char *name;
	change_fn *change;
	/* NULL: accepted */
	const char *says;
} rows[] = {
	{ "nothing", nothing, NULL },
	{ "no process", no_process, "process: missing" },
	{ "no root", no_root, "root: missing" },
	{ "no linux", no_linux, "linux: missing" },
	{ "no args", no_args, "process.args" },
	{ "empty arg", empty_arg, "process.args" },
	{ "no cwd", no_cwd, "process.cwd" },
	{ "relative cwd", relative_cwd, "process.cwd" },
	{ "no caps", no_caps, "missing process capabilities" },
	{ "relative root", relative_root, "root.path" },
	{ "root up", root_up, "root.path" },
	{ "oom low", oom_low, "oomScoreAdj" },
	{ "oom high", oom_high, "oomScoreAdj" },
	{ "rlimit name", rlimit_name, "RLIMIT_FUN" },
	{ "rlimit order", rlimit_order, "RLIMIT_NOFILE" },
	{ "rlimit twice", rlimit_twice, "RLIMIT_CPU" },
	{ "uid wraps", uid_wraps, "uid" },
	{ "gid wraps", gid_wraps, "gid" },
	{ "no namespaces", no_namespaces, "cannot find the pid ns" },
	{ "ns unknown", ns_unknown, "invalid namespace type" },
	{ "ns twice", ns_twice, "pid is given twice" },
	{ "ns join mount", ns_join_mount, NULL },
	{ "ns relative", ns_relative, "linux.namespaces.path" },
	{ "maps of a user ns by path", user_path_maps, "linux.uidMappings" },
	{ "idmap without user ns", idmap_alone, "option idmap" },
	{ "no mount ns", no_mount_ns, "no mount namespace" },
	{ "user without maps", user_without_maps, "uidMappings" },
	{ "maps without user", maps_without_user, "uidMappings" },
	{ "user good", user_good, NULL },
	{ "map range", map_exceeds, "exceeds 32 bits" },
	{ "hostname long", hostname_long, "hostname" },
	{ "hostname without uts", hostname_no_uts, "hostname" },
	{ "mount relative", mount_relative, "mounts.destination" },
	{ "mount up", mount_up, "mounts.destination" },
	{ "mount dots", mount_dots, NULL },
	{ "mount root", mount_root, "mounts.destination" },
	{ "mount no type", mount_no_type, "type is missing" },
	{ "mount bind source", mount_bind_source, "not absolute" },
	{ "mount local", mount_local, NULL },
	{ "device place", device_place, "linux.devices" },
	{ "device dots", device_dots, "linux.devices" },
	{ "device type", device_type, "unknown type" },
	{ "device number", device_number, "out of range" },
	{ "device negative", device_negative, "out of range" },
	{ "sysctl bad", sysctl_bad, "linux.sysctl" },
	{ "sysctl up", sysctl_up, "linux.sysctl" },
	{ "sysctl absolute", sysctl_abs, "linux.sysctl" },
	{ "sysctl good", sysctl_good, NULL },
	{ "sysctl without ipc", sysctl_no_ipc, "linux.sysctl" },
	{ "mask relative", mask_relative, "linux.maskedPaths" },
	{ "readonly up", readonly_up, "linux.readonlyPaths" },
	{ "propagation", propagation, "rootfsPropagation" },
	{ "seccomp default", seccomp_default, "SCMP_ACT_MAYBE" },
	{ "seccomp action", seccomp_action, "SCMP_ACT_NOTIFY" },
	{ "seccomp op", seccomp_op, "SCMP_CMP_LIKE" },
	{ "seccomp index", seccomp_index, "index" },
	{ "seccomp arch", seccomp_arch, "SCMP_ARCH_PDP11" },
	{ "seccomp flag", seccomp_flag, "SECCOMP_FILTER_FLAG_ODD" },
	{ "seccomp errno", seccomp_errno, "errnoRet" },
};

Test(validate, specs)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/root");
		struct error err = ERROR_INIT;
		int result;

		rows[i].change(s);
		result = spec_validate(s, &err);
		CHECK_EQ(result, rows[i].says ? -1 : 0, "%s: %s", rows[i].name, err.msg);
		if (!rows[i].says)
			continue;
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s: %s", rows[i].name, err.msg);
		CHECK_HAS(err.msg, rows[i].says, "%s: \"%s\"", rows[i].name, err.msg);
	}
}

/* An exec inherits missing fields from its container. */
Test(validate, exec_may_be_short)
{
	Grpc__Process *p = spec_exec();
	struct error err = ERROR_INIT;

	spec_args(p, "x", NULL);
	REQUIRE_OK(process_validate(p, &err), &err);
	p->n_args = 0;
	REQUIRE_EQ(process_validate(p, &err), -1);
}

/* Empty messages in all places must not crash the check. */
Test(validate, empty_messages)
{
	static Grpc__LinuxNamespace ns = GRPC__LINUX_NAMESPACE__INIT;
	static Grpc__LinuxNamespace *list[] = { &ns };
	Grpc__Spec s = GRPC__SPEC__INIT;
	Grpc__Process p = GRPC__PROCESS__INIT;
	Grpc__Linux l = GRPC__LINUX__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	struct error err = ERROR_INIT;

	REQUIRE_EQ(spec_validate(&s, &err), -1);
	s.process = &p;
	REQUIRE_EQ(spec_validate(&s, &err), -1);
	spec_args(&p, "x", NULL);
	s.linux = &l;
	s.root = &root;
	REQUIRE_EQ(spec_validate(&s, &err), -1);
	l.namespaces = list;
	l.n_namespaces = 1;
	REQUIRE_EQ(spec_validate(&s, &err), -1);
}

Test(validate, cgroup_paths)
{
	static const struct {
		/* NULL: refused */
		const char *path, *expected;
	} paths[] = {
		{ "", "pods/id1" },
		{ "/", "pods/id1" },
		{ "::", "pods/id1" },
		{ "/kubepods/pod1/c1", "pods/kubepods/pod1/c1" },
		{ "system.slice:kata:c1", "pods/system.slice/kata/c1" },
		{ "a//b/", "pods/a/b" },
		{ "../..", NULL },
		{ "/a/../../b", NULL },
		{ "a:..:b", NULL },
		{ "/./a", NULL },
		{ "/cgroup.procs", NULL },
		{ "/a...b", "pods/a...b" },
	};
	char out[PATH_MAX], longest[5000], name[300];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int r = cgroup_path_from_spec(paths[i].path, "id1", out, sizeof(out), &err);

		CHECK_EQ(r, paths[i].expected ? 0 : -1, "%s", paths[i].path);
		if (paths[i].expected && r == 0)
			CHECK_STR(out, paths[i].expected);
		else
			CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	}
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 100 ? 'x' : '/';
	longest[sizeof(longest) - 1] = '\0';
	CHECK_EQ(cgroup_path_from_spec(longest, "id1", out, sizeof(out), &err), -1);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK_EQ(cgroup_path_from_spec(name, "id1", out, sizeof(out), &err), -1);
	CHECK_EQ(cgroup_path_from_spec("/abc", "id1", out, 8, &err), -1);
}
