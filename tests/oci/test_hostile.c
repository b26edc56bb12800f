/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images and containers that try to escape: through leaked fds, the working directory, the agent's
 * program, processes being set up, and cgroup names. Those about mounts, masks and /dev are in
 * test_mounts.c and test_devices.c. See oci.h.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oci/oci.h"

/* highest fd number that is checked */
#define FD_MAX 24
#define EXECS  30

/* ---- fds ---- */

static void
only_three_fds(const char *out, const char *who)
{
	unsigned int lines = 0;

	for (const char *p = out; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	CHECK(lines == 3 && out[0] == '0' && strstr(out, "\n1 ") && strstr(out, "\n2 "),
	      "%s has: %s", who, out);
}

static void
fd_census(struct oci *t)
{
	char out[OCI_OUT];
	Grpc__Process *p;

	for (int i = 0; i < 20; i++)
		if (!CHECK_OK(oci_launch(t, oci_str(t, "other%d", i), oci_sh(t, "sleep 3600")),
			      &t->err))
			return;
	CHECK_OK(oci_run(t, oci_spec(t, ARGS("/bin/oci-probe", "fds")), out, sizeof(out)), &t->err);
	only_three_fds(out, "a container");
	p = oci_process(t, ARGS("/bin/oci-probe", "fds"));
	CHECK_OK(oci_exec_run(t, "other0", p, out, sizeof(out)), &t->err);
	only_three_fds(out, "an exec");
	p->terminal = true;
	CHECK_OK(oci_exec_run(t, "other0", p, out, sizeof(out)), &t->err);
	only_three_fds(out, "an exec with a terminal");
}

/* ---- the working directory ---- */

/* Wherever it starts, the C library and the kernel agree that the directory is inside the root. */
static void
cwd_is_inside(int code, const char *out, const char *cwd)
{
	/* refused */
	if (code < 0)
		return;
	CHECK(out[0] == '/' && !strstr(out, "(unreachable)"), "cwd %s: %s", cwd, out);
}

static void
leaked_cwd(struct oci *t)
{
	static const char *const paths[] = {
		"/proc/self/root/..", "/proc/1/cwd",     "/proc/self/cwd", "/proc/thread-self/cwd",
		"/links/1",           "/links/dangling", "/links/up",
	};
	char out[OCI_OUT];

	(void)oci_rootfs(t);
	oci_dir(t, "links", 0755);
	oci_link(t, "links/1", "/proc/self/fd/7");
	oci_link(t, "links/dangling", "/proc/self/fd/9/new");
	oci_link(t, "links/up", "../../../../../../..");
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "sleep 3600")), &t->err))
		return;
	for (size_t i = 0; i < FD_MAX + ARRAY_LEN(paths); i++) {
		const char *cwd =
			i < FD_MAX ? oci_str(t, "/proc/self/fd/%zu", i) : paths[i - FD_MAX];
		Grpc__Spec *spec = oci_spec(t, ARGS("/bin/oci-probe", "getcwd"));
		Grpc__Process *p = oci_process(t, ARGS("/bin/oci-probe", "getcwd"));
		int code;

		spec->process->cwd = p->cwd = oci_str(t, "%s", cwd);
		CHECK(oci_launch(t, "c2", spec) < 0 ||
			      (oci_read(t, "c2", "", out, sizeof(out)) >= 0),
		      "%s", t->err.msg);
		code = oci_wait(t, "c2", "");
		cwd_is_inside(code, out, cwd);
		(void)oci_remove(t, "c2");
		code = oci_exec_run(t, "c1", p, out, sizeof(out));
		cwd_is_inside(code, out, cwd);
	}
}

/* ---- the agent's program ---- */

static char *
agent_hash(struct oci *t)
{
	char *out = oci_zalloc(t, 256, 1);

	CHECK_OK(oci_guest(t, out, 256, "sha256sum $P/$A/exe | cut -c 1-64"), &t->err);
	return out;
}

/* CVE-2019-5736: the image makes the agent execute itself inside, and another process waits for
 * a chance to write to the program. */
static void
self_exe(struct oci *t)
{
	static const char *const programs[] = { "/proc/self/exe", "/bin/self", "/bin/script" };
	char *before = agent_hash(t), out[OCI_OUT];

	(void)oci_rootfs(t);
	oci_link(t, "bin/self", "/proc/self/exe");
	oci_file(t, "bin/script", 0755, "#!/proc/self/exe\n");
	if (!CHECK_OK(oci_launch(t, "c1",
				 oci_spec(t, ARGS("/bin/oci-probe", "exe-writer", "/tmp/stop"))),
		      &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "armed"), &t->err))
		return;
	for (size_t i = 0; i < EXECS; i++) {
		Grpc__Process *p = oci_process(t, ARGS(programs[i % 3], "--version"));
		char said[OCI_OUT];

		(void)oci_exec_run(t, "c1", p, said, sizeof(said));
	}
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		(void)oci_run(t, oci_spec(t, ARGS(programs[i], "--version")), out, sizeof(out));
	oci_file(t, "tmp/stop", 0644, "");
	CHECK_GT(oci_read(t, "c1", "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK(!strstr(out, "writable") && strstr(out, "foreign programs seen"), "%s", out);
	printf("# %s", out);
	CHECK_OK(oci_wait(t, "c1", ""), &t->err);
	CHECK(strlen(before) >= 64 && strcmp(before, agent_hash(t)) == 0,
	      "the agent's program was %s", before);
}

/* Inspects, from inside a running container, each process that is set up for an exec. */
static void
snoop(struct oci *t, Grpc__Spec *spec)
{
	char out[OCI_OUT];

	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "armed"), &t->err))
		return;
	for (int i = 0; i < EXECS; i++) {
		char said[64];

		CHECK_OK(oci_exec_run(t, "c1", oci_process(t, ARGS("/bin/true")), said,
				      sizeof(said)),
			 &t->err);
	}
	oci_file(t, "tmp/stop", 0644, "");
	CHECK_GT(oci_read(t, "c1", "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK_STR(out, "done\n", "within reach: %.2000s", out);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	oci_unlink(t, "tmp/stop");
}

/* CVE-2016-9962: the kernel allows root of the same user namespace with CAP_SYS_PTRACE to
 * inspect every process it sees; other processes must be refused. */
static void
snooped_exec(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_dir(t, "tmp", 0777);
	snoop(t, oci_spec(t, ARGS("/bin/oci-probe", "snoop", "/tmp/stop")));
	spec = oci_spec(t, ARGS("/bin/oci-probe", "snoop", "/tmp/stop"));
	oci_userns(t, spec, 100000, 65536);
	oci_caps(t, spec->process,
		 "CAP_SYS_PTRACE,CAP_SYS_ADMIN,CAP_DAC_OVERRIDE,CAP_DAC_READ_SEARCH,CAP_KILL");
	snoop(t, spec);
}

/* A container forges cap_last_cap: an exec still has the capabilities of the spec. */
static void
forged_cap_last_cap(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(
		t, "echo 5 >/tmp/five; mount --bind /tmp/five /proc/sys/kernel/cap_last_cap; "
		   "mount --bind /tmp/five /proc/self/status; cat /proc/sys/kernel/cap_last_cap; "
		   "sleep 3600");
	Grpc__Process *p = oci_process(t, ARGS("/bin/grep", "CapBnd", "/proc/thread-self/status"));

	oci_caps(t, spec->process, "CAP_SYS_ADMIN,CAP_CHOWN,CAP_SYSLOG");
	spec->linux->n_maskedpaths = spec->linux->n_readonlypaths = 0;
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "5"), &t->err))
		return;
	oci_caps(t, p, "CAP_CHOWN,CAP_SYSLOG");
	OCI_EXEC_PRINTS(t, "c1", p, "CapBnd:\t0000000400000001\n");
}

/* ---- cgroups ---- */

static void
cgroup_names(struct oci *t)
{
	static const char *const bad[] = { "..",          "/..",
					   "../../agent", "/a/../../agent",
					   "a/../../..",  "/a/./../../x" };
	char out[OCI_OUT];
	char *path;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		Grpc__Spec *spec = oci_sh(t, "true");

		spec->linux->cgroupspath = oci_str(t, "%s", bad[i]);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "cgroup");
	}
	for (int slash = 0; slash < 2; slash++) {
		Grpc__Spec *spec = oci_sh(t, "true");

		path = oci_zalloc(t, 1, 5001);
		memset(path, 'a', 5000);
		for (size_t i = 0; slash && i < 5000; i += 100)
			path[i] = '/';
		spec->linux->cgroupspath = path;
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "cgroup");
	}
	if (!t->is_vm)
		return;
	{
		static const char *const tame[] = { "/agent", "agent", "a:b:c",
						    "/sys/fs/cgroup/x" };

		for (size_t i = 0; i < ARRAY_LEN(tame); i++) {
			Grpc__Spec *spec = oci_sh(t, "echo r; sleep 3600");

			spec->linux->cgroupspath = oci_str(t, "%s", tame[i]);
			CHECK_EQ(oci_launch(t, "cg", spec), 0, "%s: %s", tame[i], t->err.msg);
			CHECK_OK(oci_read_line(t, "cg", "", "r"), &t->err);
			CHECK(oci_guest(t, out, sizeof(out),
					"for d in $P/[0-9]*; do grep -qs '^sleep.3600' $d/cmdline "
					"&& cat $d/cgroup; done; true") == 0 &&
				      strncmp(out, "0::/../", 7) == 0 && !strstr(out, "/../.."),
			      "%s became: %s", tame[i], out);
			CHECK_OK(oci_remove(t, "cg"), &t->err);
		}
	}
}

/* Only the container's own cgroup is visible, and it is not writable. */
static void
cgroup_escape(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(
		t, "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/agent /sys/fs/cgroup/pods "
		   "2>/dev/null; echo $$ >/sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x; "
		   "mount -o remount,rw /sys/fs/cgroup; umount /sys/fs/cgroup; true");

	if (oci_needs_vm(t))
		return;
	OCI_PRINTS(t, spec, "0::/\n");
	/* With all rights in its namespaces: only its own tree is visible. */
	spec = oci_sh(t,
		      "mkdir /tmp/cg; mount -t cgroup2 none /tmp/cg "
		      "&& ls -d /tmp/cg/pods /tmp/cg/agent /tmp/cg/main 2>/dev/null; "
		      "echo $$ >/tmp/cg/../cgroup.procs; test -e /tmp/cg/cgroup.kill && echo own; "
		      "echo 1 >/tmp/cg/pids.max && echo wrote; umount /tmp/cg");
	oci_caps(t, spec->process, "CAP_SYS_ADMIN,CAP_DAC_OVERRIDE");
	spec->process->nonewprivileges = false;
	oci_pids(t, spec, 50);
	OCI_PRINTS(t, spec, "own\n");
}

/* A tree of cgroups with a frozen process is removed. */
static void
nested_and_frozen(struct oci *t)
{
	Grpc__Mount *m;
	Grpc__Spec *spec = oci_sh(
		t, "cd /sys/fs/cgroup; i=0; while test $i -lt 300; do mkdir -p d$((i / 20))/c$i; "
		   "i=$((i + 1)); done; "
		   "mkdir frozen; sleep 3600 & echo $! >frozen/cgroup.procs; "
		   "echo 1 >frozen/cgroup.freeze; "
		   "until grep -q 'frozen 1' frozen/cgroup.events; do :; done; echo ready; "
		   "sleep 3600");

	if (oci_needs_vm(t))
		return;
	m = oci_mount_find(spec, "/sys/fs/cgroup");
	m->options = oci_words(t, "rw,nosuid,noexec,nodev", &m->n_options);
	oci_caps(t, spec->process, "CAP_SYS_ADMIN,CAP_DAC_OVERRIDE");
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "c1", "", "ready"), &t->err);
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 137, "%s", t->err.msg);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
}

/* A container's init in a cgroup frozen by the container does not block an exec. */
static void
exec_beside_frozen(struct oci *t)
{
	Grpc__Mount *m;
	Grpc__Spec *spec = oci_sh(
		t, "cd /sys/fs/cgroup; mkdir -p a/b; (until grep -q '/a/b' /proc/1/cgroup; do :; "
		   "done; "
		   "echo 1 >a/cgroup.freeze; until grep -q 'frozen 1' a/cgroup.events; do :; done; "
		   "echo ready; sleep 3600) & echo 1 >a/b/cgroup.procs; while :; do sleep 1; done");
	char out[OCI_OUT];

	if (oci_needs_vm(t))
		return;
	m = oci_mount_find(spec, "/sys/fs/cgroup");
	m->options = oci_words(t, "rw,nosuid,noexec,nodev", &m->n_options);
	oci_caps(t, spec->process, "CAP_SYS_ADMIN,CAP_DAC_OVERRIDE");
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "c1", "", "ready"), &t->err);
	CHECK_OK(oci_exec_run(t, "c1", oci_process(t, ARGS("/bin/cat", "/proc/self/cgroup")), out,
			      sizeof(out)),
		 &t->err);
	CHECK_STR(out, "0::/\n", "the exec is in %s", out);
}

/* ---- devices ---- */

/* The guest's disk exists and CAP_MKNOD can create a node for it, which cannot be opened. */
static void
mknod_of_every_disk(struct oci *t)
{
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/oci-probe", "mknod-all"));
	Grpc__LinuxResources *r = oci_resources(t, spec);
	Grpc__LinuxDeviceCgroup *rule =
		OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);

	if (oci_needs_vm(t))
		return;
	rule->allow = false;
	rule->access = oci_str(t, "rwm");
	rule->major = rule->minor = -1;
	OCI_PRINTS(t, spec, "looked\n");
}

const struct oci_case oci_hostile_cases[] = {
	{ "attack", "exactly three open fds", fd_census },
	{ "attack", "a working directory through a leaked fd", leaked_cwd },
	{ "attack", "the agent's program cannot be written", self_exe },
	{ "attack", "an exec being set up cannot be inspected", snooped_exec },
	{ "attack", "a forged cap_last_cap", forged_cap_last_cap },
	{ "attack", "cgroup paths stay below /pods", cgroup_names },
	{ "attack", "no escape from the cgroup", cgroup_escape },
	{ "attack", "nested and frozen cgroups are removed", nested_and_frozen },
	{ "attack", "a frozen init does not block an exec", exec_beside_frozen },
	{ "attack", "no disk can be opened", mknod_of_every_disk },
};
const size_t n_oci_hostile_cases = ARRAY_LEN(oci_hostile_cases);
