/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp, labels, keyrings and leaks. See oci.h. */
#include <string.h>
#include <sys/syscall.h>

#include "tests/oci/oci.h"

/* ---- seccomp: filters are tested by making the call ---- */

static void
seccomp_errno(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "mkdir /tmp/x 2>&1 || true; echo $?");

	(void)oci_seccomp(t, spec, "mkdir,mkdirat", "SCMP_ACT_ERRNO");
	OCI_SAYS(t, spec, "Operation not permitted");
}

/* Unknown names are left out; the others apply. */
static void
seccomp_names(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "mkdir /tmp/x 2>&1 || true; uname >/dev/null && echo fine");

	(void)oci_seccomp(t, spec, "no_such_call,mkdir,mkdirat", "SCMP_ACT_ERRNO");
	OCI_SAYS(t, spec, "Operation not permitted\nfine\n");
}

static Grpc__LinuxSeccompArg *
add_arg(struct oci *t, Grpc__LinuxSyscall *rule, uint64_t index, const char *op, uint64_t value)
{
	Grpc__LinuxSeccompArg *a =
		OCI_ADD(t, rule->args, rule->n_args, grpc__linux_seccomp_arg__init);

	a->index = index;
	a->op = oci_str(t, "%s", op);
	a->value = value;
	return a;
}

/* Calls getpriority(which, who) with `who` from 0 to n-1 and prints one line per call. */
static Grpc__Spec *
probe(struct oci *t, int n, Grpc__LinuxSyscall **rule)
{
	Grpc__Spec *spec = oci_sh(t,
				  "i=0; while [ $i -lt %d ]; do "
				  "oci-probe syscall %d 9 $i 2>&1 || exit; i=$((i+1)); done",
				  n, SYS_getpriority);

	*rule = oci_seccomp(t, spec, "getpriority", "SCMP_ACT_ERRNO");
	(*rule)->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	(*rule)->errnoret = 71;
	return spec;
}

/* the rule matched */
#define YES "error 71 Protocol error\n"
/* the kernel's error for an unknown `which` */
#define NO "error 22 Invalid argument\n"

static void
seccomp_errnoret(struct oci *t)
{
	Grpc__LinuxSyscall *rule;
	Grpc__Spec *spec = probe(t, 1, &rule);

	OCI_PRINTS(t, spec, YES);
	/* A host that leaves errnoRet out sends 0, which does not mean success. */
	spec = probe(t, 1, &rule);
	rule->errnoret = 0;
	OCI_PRINTS(t, spec, "error 1 Operation not permitted\n");
	spec = probe(t, 1, &rule);
	rule->errnoret = 4096;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.syscalls.errnoRet");
}

/* Each operator against 0, 1, 2, 3. */
static void
seccomp_op(struct oci *t)
{
	static const struct {
		const char *op, *want;
	} rows[] = {
		{ "SCMP_CMP_NE", YES YES NO YES }, { "SCMP_CMP_LT", YES YES NO NO },
		{ "SCMP_CMP_LE", YES YES YES NO }, { "SCMP_CMP_EQ", NO NO YES NO },
		{ "SCMP_CMP_GE", NO NO YES YES },  { "SCMP_CMP_GT", NO NO NO YES },
	};
	Grpc__LinuxSyscall *rule;
	Grpc__Spec *spec;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec = probe(t, 4, &rule);
		(void)add_arg(t, rule, 1, rows[i].op, 2);
		OCI_PRINTS(t, spec, rows[i].want);
	}
	spec = probe(t, 1, &rule);
	(void)add_arg(t, rule, 1, "SCMP_CMP_ABOUT", 2);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.syscalls.args.op");
}

static void
seccomp_valuetwo(struct oci *t)
{
	Grpc__LinuxSyscall *rule;
	Grpc__Spec *spec = probe(t, 4, &rule);

	/* mask 2, equal to 2 */
	add_arg(t, rule, 1, "SCMP_CMP_MASKED_EQ", 2)->valuetwo = 2;
	OCI_PRINTS(t, spec, NO NO YES YES);
}

static void
seccomp_index(struct oci *t)
{
	Grpc__LinuxSyscall *rule;
	Grpc__Spec *spec = probe(t, 2, &rule);

	(void)add_arg(t, rule, 1, "SCMP_CMP_EQ", 1);
	OCI_PRINTS(t, spec, NO YES);
	/* two conditions, both of which must hold */
	spec = probe(t, 2, &rule);
	(void)add_arg(t, rule, 0, "SCMP_CMP_EQ", 8);
	(void)add_arg(t, rule, 1, "SCMP_CMP_EQ", 1);
	OCI_PRINTS(t, spec, NO NO);
	spec = probe(t, 1, &rule);
	(void)add_arg(t, rule, 6, "SCMP_CMP_EQ", 1);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.syscalls.args.index");
}

/* Actions other than errno: the process is killed, gets SIGSYS, or the call is logged. */
static void
seccomp_actions(struct oci *t)
{
	static const struct {
		const char *action, *want;
	} rows[] = {
		{ "SCMP_ACT_KILL", "159\n" },
		{ "SCMP_ACT_KILL_THREAD", "159\n" },
		{ "SCMP_ACT_KILL_PROCESS", "159\n" },
		{ "SCMP_ACT_TRAP", "159\n" },
		{ "SCMP_ACT_LOG", NO "0\n" },
		{ "SCMP_ACT_TRACE", "error 38 Function not "
				    "implemented\n0\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *spec =
			oci_sh(t, "oci-probe syscall %d 9 0 2>/dev/null; echo $?", SYS_getpriority);

		(void)oci_seccomp(t, spec, "getpriority", rows[i].action);
		OCI_PRINTS(t, spec, rows[i].want);
	}
	Grpc__Spec *spec = oci_sh(t, "true");

	(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_NOTIFY");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "SCMP_ACT_NOTIFY");
	spec = oci_sh(t, "true");
	(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_WHAT");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.syscalls.action");
}

/* The action for syscalls without a rule. */
static void
seccomp_default(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "oci-probe syscall %d 9 0; oci-probe syscall 1000", SYS_getpriority);
	Grpc__LinuxSyscall *rule = oci_seccomp(t, spec, "getpriority", "SCMP_ACT_ERRNO");

	rule->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	rule->errnoret = 71;
	spec->linux->seccomp->defaultaction = oci_str(t, "SCMP_ACT_LOG");
	OCI_PRINTS(t, spec, YES "error 38 Function not implemented\n");
	/* Only the calls that start and end a program are allowed: the program is killed. */
	spec = oci_sh(t, "true");
	rule = oci_seccomp(t, spec, "execve,exit_group", "SCMP_ACT_ALLOW");
	spec->linux->seccomp->defaultaction = oci_str(t, "SCMP_ACT_KILL_PROCESS");
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	CHECK_EQ(oci_wait(t, "c1", ""), 128 + 31, "it ran");
}

/* Syscalls of an unlisted architecture kill the process: x32 sets a bit in the number. */
static void
seccomp_architectures(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "oci-probe syscall %d; echo $?", SYS_getppid | 0x40000000);

	(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
	OCI_PRINTS(t, spec, "159\n");
	spec = oci_sh(t, "oci-probe syscall %d; echo $?", SYS_getppid | 0x40000000);
	(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
	spec->linux->seccomp->architectures =
		oci_strings(t, &spec->linux->seccomp->n_architectures,
			    ARGS("SCMP_ARCH_X86_64", "SCMP_ARCH_X32"));
	OCI_SAYS_NOT(t, spec, "159");
	spec = oci_sh(t, "true");
	(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
	spec->linux->seccomp->architectures =
		oci_strings(t, &spec->linux->seccomp->n_architectures, ARGS("SCMP_ARCH_VAX"));
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.architectures");
}

/* SECCOMP_FILTER_FLAG_SPEC_ALLOW does not enable the mitigation of speculative store bypass;
 * unknown and listener flags are refused. */
static void
seccomp_flags(struct oci *t)
{
	static const char *const fine[] = { "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
					    "SECCOMP_FILTER_FLAG_LOG",
					    "SECCOMP_FILTER_FLAG_TSYNC" };
	static const char *const refused[] = { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
					       "SECCOMP_FILTER_FLAG_X" };

	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		Grpc__Spec *spec = oci_sh(t, "mkdir /tmp/x 2>&1; echo $?");

		(void)oci_seccomp(t, spec, "mkdir,mkdirat", "SCMP_ACT_ERRNO");
		oci_append(t, &spec->linux->seccomp->flags, &spec->linux->seccomp->n_flags,
			   fine[i]);
		OCI_SAYS(t, spec, "Operation not permitted\n1\n");
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		Grpc__Spec *spec = oci_sh(t, "true");

		(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
		oci_append(t, &spec->linux->seccomp->flags, &spec->linux->seccomp->n_flags,
			   refused[i]);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.seccomp.flags");
	}
}

/* The filter is loaded last, so it may forbid the syscalls that start a program: with and
 * without no_new_privs, and for execs. */
static void
seccomp_last(struct oci *t)
{
	static const char calls[] =
		"prctl,capset,setuid,setgid,setgroups,setresuid,setresgid,chdir,"
		"close_range,seccomp,setsid,keyctl,sendmsg,recvmsg,openat2,setns";

	for (int nnp = 0; nnp < 2; nnp++) {
		Grpc__Spec *spec =
			oci_spec(t, ARGS("/bin/oci-probe", "syscall", oci_str(t, "%d", SYS_pause)));

		spec->process->nonewprivileges = nnp;
		spec->process->user->uid = nnp ? 0 : 1000;
		(void)oci_seccomp(t, spec, calls, "SCMP_ACT_KILL_PROCESS");
		if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
			return;
		OCI_EXEC_PRINTS(t, "c1", oci_process(t, ARGS("/bin/oci-probe", "umask")), "0022\n");
		CHECK_OK(oci_remove(t, "c1"), &t->err);
	}
}

/* ---- files ---- */

/* The open fds are exactly 0, 1 and 2, with no directory of the guest: for init, an exec, and
 * one with a terminal. */
static void
fd_census(struct oci *t)
{
	static const char script[] = "ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/cwd; "
				     "readlink /proc/self/root; "
				     "ls /proc/1/fd | tr '\\n' ' '";
	Grpc__Process *p = oci_process(t, ARGS("/bin/sh", "-c", script));
	char out[512];
	int n = -1, others = -1;

	CHECK_OK(oci_run(t, oci_spec(t, ARGS("/bin/oci-probe", "fds")), out, sizeof(out)), &t->err);
	(void)sscanf(out, "0 %*[^\n]\n1 %*[^\n]\n2 %*[^\n]\n%n%d", &n, &others);
	CHECK(n == (int)strlen(out) && others < 0, "%s", out);
	/* fd 3 is the directory that ls reads. */
	if (!CHECK_OK(oci_launch(t, "c1", oci_spec(t, ARGS("/bin/sleep", "100"))), &t->err))
		return;
	OCI_EXEC_PRINTS(t, "c1", p, "0 1 2 3 /\n/\n0 1 2 ");
	p->terminal = true;
	CHECK_OK(oci_exec_run(t, "c1", p, out, sizeof(out)), &t->err);
	CHECK_STR(out, "0 1 2 3 /\r\n/\r\n0 1 2 ");
}

/* ---- the agent's own program (CVE-2019-5736) ---- */

/* A container whose program is /proc/self/exe runs the agent's file but cannot write to it,
 * executed or not: its file system is read-only for a process that reaches it this way. */
static void
agent_program(struct oci *t)
{
	char before[128], after[128], out[512];
	Grpc__Spec *spec;

	if (!CHECK_OK(oci_guest(t, before, sizeof(before), "md5sum <$P/$A/exe"), &t->err))
		return;
	/* created but not started: the first process is still a copy of the agent */
	if (!CHECK_OK(oci_create(t, "c1", oci_spec(t, ARGS("/bin/sleep", "100"))), &t->err))
		return;
	spec = oci_sh(t, "true");
	Grpc__Process *p =
		oci_process(t, ARGS("/bin/sh", "-c",
				    "exec 2>&1; cat /proc/1/mem >/dev/null; ls /proc/1/fd; "
				    "echo x >>/proc/1/exe; dd if=/dev/null of=/proc/1/exe; true"));
	p->capabilities = spec->process->capabilities;
	oci_caps(t, p, "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_SYS_PTRACE,CAP_SYS_ADMIN");
	CHECK_OK(oci_exec_run(t, "c1", p, out, sizeof(out)), &t->err);
	/* Without O_TRUNC, the kernel checks first whether the file is being executed, then
	 * whether its mount is read-only. */
	CHECK_HAS(out, "dd: can't open '/proc/1/exe': Read-only file system");
	CHECK_HAS(out, "can't create /proc/1/exe");
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	/* a program that is the agent's file, under whatever name */
	CHECK_OK(oci_launch(t, "c1", oci_spec(t, ARGS("/proc/self/exe", "--version"))), &t->err);
	(void)oci_wait(t, "c1", "");
	if (!CHECK_OK(oci_guest(t, after, sizeof(after), "md5sum <$P/$A/exe"), &t->err))
		return;
	CHECK_STR(before, after, "%s%s", before, after);
}

/* ---- keyrings ---- */

/* A session keyring named after the container, shared by its execs and different from other
 * containers'. */
static void
keyring(struct oci *t)
{
	/* KEYCTL_GET_KEYRING_ID of the session keyring, without creating one */
	const char *id = oci_str(t, "oci-probe syscall %d 0 -3 0", SYS_keyctl);
	Grpc__Spec *spec = oci_sh(t, "%s; grep -o '_ses.' /proc/keys; sleep 100", id);
	char first[128], second[128], other[128];

	spec->linux->n_maskedpaths = 0;
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "_ses."), &t->err))
		return;
	if (!CHECK_OK(oci_exec_run(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", id)), first,
				   sizeof(first)),
		      &t->err))
		return;
	if (!CHECK_OK(oci_exec_run(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", id)), second,
				   sizeof(second)),
		      &t->err))
		return;
	CHECK(!strstr(first, "error") && strcmp(first, second) == 0, "%s%s", first, second);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	if (!CHECK_OK(oci_run(t, oci_sh(t, "%s", id), other, sizeof(other)), &t->err))
		return;
	CHECK(!strstr(other, "error") && strcmp(first, other) != 0, "%s", other);
}

/* Root of another container is the same user, but sees neither the name of the keyring, by which
 * it could join, nor the keyring itself. */
static void
keyring_of_another(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "grep -v _uid_ses /proc/keys | grep -o '_ses[^:]*'; sleep 100");
	char name[512], out[OCI_OUT];
	ssize_t n;

	spec->linux->n_maskedpaths = 0;
	if (!CHECK_OK(oci_launch(t, "other", spec), &t->err))
		return;
	n = read_stream(&t->h, false, "other", "other", name, sizeof(name) - 1, &t->err);
	if (!CHECK_GT(n, 0, "%s", t->err.msg))
		return;
	name[n] = '\0';
	if (!CHECK(strncmp(name, "_ses.", 5) == 0, "the keyring's name: %s", name))
		return;
	name[strcspn(name, "\n")] = '\0';
	spec = oci_sh(t, "grep -c '%s' /proc/keys", name);
	spec->linux->n_maskedpaths = 0;
	CHECK(strcspn(name, ".") == 4 && strlen(name) == 37, "the keyring's name: %s", name);
	CHECK(oci_run(t, spec, out, sizeof(out)) >= 0 && strcmp(out, "0\n") == 0,
	      "another container sees: %s", out);
}

/* ---- labels ---- */

/* tests/vm/scenario-lsm.sh runs these in kernels with the modules and a loaded policy. */

static bool
guest_says(struct oci *t, const char *script, const char *word)
{
	char out[128];

	return oci_guest(t, out, sizeof(out), "%s", script) == 0 && strstr(out, word);
}

static void
apparmor(struct oci *t)
{
	const char *show = "cat /proc/self/attr/apparmor/current 2>/dev/null || echo none";
	Grpc__Spec *spec = oci_sh(t, "%s; sleep 100", show);
	char out[128];

	if (!guest_says(t, "cat $R/sys/module/apparmor/parameters/enabled || true", "Y")) {
		/* Logged once; the container runs. */
		spec = oci_sh(t, "echo ran");
		spec->process->apparmorprofile = oci_str(t, "cri-containerd.apparmor.d");
		OCI_PRINTS(t, spec, "ran\n");
		t->skip = "the guest's kernel has no AppArmor";
		return;
	}
	spec->process->apparmorprofile = oci_str(t, "oci-test");
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "oci-test (enforce)"), &t->err))
		return;
	/* An exec without a label is confined like the container: the profile's denials apply. */
	Grpc__Process *p = oci_process(
		t, ARGS("/bin/sh", "-c", oci_str(t, "%s; touch /tmp/denied 2>&1; true", show)));

	if (!CHECK_OK(oci_exec_run(t, "c1", p, out, sizeof(out)), &t->err))
		return;
	CHECK(strstr(out, "oci-test (enforce)\n") && strstr(out, "Permission denied"), "%s", out);
	p = oci_process(t, ARGS("/bin/sh", "-c", show));
	p->apparmorprofile = oci_str(t, "oci-other");
	OCI_EXEC_PRINTS(t, "c1", p, "oci-other (enforce)\n");
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	spec = oci_sh(t, "true");
	spec->process->apparmorprofile = oci_str(t, "not-loaded");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "process.apparmorProfile: profile not-loaded");
}

static bool
has_selinux(struct oci *t)
{
	return guest_says(t, "ls $R/sys/fs", "selinux");
}

static void
selinux(struct oci *t)
{
	const char *show = "tr -d '\\000' </proc/self/attr/current; echo";
	Grpc__Spec *spec = oci_sh(t, "%s; sleep 100", show);

	if (!has_selinux(t)) {
		spec = oci_sh(t, "echo ran");
		spec->process->selinuxlabel = oci_str(t, "system_u:system_r:container_t:s0");
		OCI_PRINTS(t, spec, "ran\n");
		t->skip = "the guest's kernel has no SELinux";
		return;
	}
	spec->process->selinuxlabel = oci_str(t, "u:r:container_t");
	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "u:r:container_t"), &t->err))
		return;
	OCI_EXEC_PRINTS(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", show)), "u:r:container_t\n");
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	spec = oci_sh(t, "true");
	spec->process->selinuxlabel = oci_str(t, "u:r:no_such_t");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "process.selinuxLabel");
}

static void
mount_label(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "grep -c 'context=\"*u:object_r:container_file_t' /proc/self/mounts; "
			  "grep context= /proc/self/mounts | grep -c -e '^proc' -e '^sysfs'; true");

	if (!has_selinux(t)) {
		t->skip = "the guest's kernel has no SELinux";
		return;
	}
	spec->linux->mountlabel = oci_str(t, "u:object_r:container_file_t");
	/* /dev and /dev/pts; /dev/shm belongs to the sandbox */
	OCI_SAYS(t, spec, "2\n0\n");
}

/* ---- refused ---- */

static void
intel_rdt(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	OCI_MSG(t, spec->linux->intelrdt, grpc__linux_intel_rdt__init)->l3cacheschema =
		oci_str(t, "L3:0=7f0");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.intelRdt");
}

const struct oci_case oci_security_cases[] = {
	{ "linux.seccomp.syscalls.action", "seccomp errno", seccomp_errno },
	{ "linux.seccomp.syscalls.names", "seccomp names", seccomp_names },
	{ "linux.seccomp.syscalls.errnoret", "seccomp error numbers", seccomp_errnoret },
	{ "linux.seccomp.syscalls.args.op", "seccomp operators", seccomp_op },
	{ "linux.seccomp.syscalls.args.valuetwo", "seccomp masks", seccomp_valuetwo },
	{ "linux.seccomp.syscalls.args.index", "seccomp arguments", seccomp_index },
	{ "linux.seccomp.syscalls.action", "seccomp actions", seccomp_actions },
	{ "linux.seccomp.defaultaction", "seccomp default", seccomp_default },
	{ "linux.seccomp.architectures", "seccomp architectures", seccomp_architectures },
	{ "linux.seccomp.flags", "seccomp flags", seccomp_flags },
	{ "linux.seccomp", "seccomp is loaded last", seccomp_last },
	{ "attack", "fd census", fd_census },
	{ "attack", "the agent's program", agent_program },
	{ "keyring", "session keyring", keyring },
	{ "keyring", "another container's session keyring", keyring_of_another },
	{ "process.apparmorprofile", "AppArmor profile", apparmor },
	{ "process.selinuxlabel", "SELinux label", selinux },
	{ "linux.mountlabel", "SELinux mount label", mount_label },
	{ "linux.intelrdt", "Intel RDT", intel_rdt },
};
const size_t n_oci_security_cases = ARRAY_LEN(oci_security_cases);
