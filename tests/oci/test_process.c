/* SPDX-License-Identifier: Apache-2.0 */
/* Process attributes as a container sees them. See oci.h; test_exec.c tests the same for an
 * exec. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/oci/oci.h"

#define CAPS "grep Cap /proc/self/status | tr -d '\\t'"

static void
uid(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "id -u; grep Uid: /proc/self/status");

	spec->process->user->uid = 1000;
	OCI_PRINTS(t, spec, "1000\nUid:\t1000\t1000\t1000\t1000\n");
}

static void
gid(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "id -g; grep Gid: /proc/self/status");

	spec->process->user->gid = 1234;
	OCI_PRINTS(t, spec, "1234\nGid:\t1234\t1234\t1234\t1234\n");
}

/* More groups than fit the kernel's small array, and no others. */
static void
groups(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "grep Groups: /proc/self/status");
	Grpc__User *user = spec->process->user;

	user->uid = 1000;
	user->gid = 7;
	user->additionalgids = oci_zalloc(t, 65537, sizeof(uint32_t));
	user->n_additionalgids = 3;
	for (uint32_t i = 0; i < 65537; i++)
		user->additionalgids[i] = 100 + i;
	OCI_PRINTS(t, spec, "Groups:\t100 101 102 \n");
	user->n_additionalgids = 0;
	OCI_PRINTS(t, spec, "Groups:\t \n");
	user->n_additionalgids = 65536;
	spec->process->args[2] = oci_str(t, "grep Groups: /proc/self/status | wc -w");
	OCI_PRINTS(t, spec, "65537\n");
	user->n_additionalgids = 65537;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "process.user.additionalGids");
}

static void
username(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_file(t, "etc/passwd", 0644,
		 "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n");
	oci_file(t, "etc/group", 0644,
		 "app:x:1001:\nwheel:x:10:a,app\nno:x:11:apps\nstaff:x:20:\n");
	spec = oci_sh(t, "id -u; id -G; echo $HOME; echo again > /dev/stdout");
	spec->process->user->username = oci_str(t, "app");
	OCI_PRINTS(t, spec, "1000\n1001 10\n/home/app\nagain\n");
	spec->process->user->username = oci_str(t, "app:staff");
	OCI_PRINTS(t, spec, "1000\n20 10\n/home/app\nagain\n");
	spec->process->user->username = oci_str(t, "nobody");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT,
		    "user \"nobody\" was not found in /etc/passwd");
	spec->process->user->username = oci_str(t, "app:none");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "group \"none\" was not found in /etc/group");
}

/* The path is not a regular file: reading ends and stays inside the root, and the call reports
 * why it failed. */
static void
hostile_passwd(struct oci *t)
{
	static const struct {
		const char *kind, *target, *text;
	} rows[] = {
		{ "fifo", "", "/etc/passwd is not a regular file" },
		{ "huge", "", "the first MiB of /etc/passwd" },
		{ "link", "/dev/zero", "/etc/passwd" },
		{ "link", "../../../../../../../../etc/passwd", "/etc/passwd" },
		{ "link", "passwd", "/etc/passwd" },
		{ "directory", "", "/etc/passwd is not a regular file" },
		/* The last one, which only root can make. */
		{ "device", "", "/etc/passwd is not a regular file" },
	};
	const char *path = oci_str(t, "%s/etc/passwd", oci_rootfs(t));

	for (size_t i = 0; i < ARRAY_LEN(rows) - (geteuid() != 0); i++) {
		Grpc__Spec *spec = oci_sh(t, "echo $HOME");
		const char *kind = rows[i].kind;
		bool made = true;

		oci_unlink(t, "etc/passwd");
		if (strcmp(kind, "link") == 0)
			oci_link(t, "etc/passwd", rows[i].target);
		else if (strcmp(kind, "directory") == 0)
			oci_dir(t, "etc/passwd", 0755);
		else if (strcmp(kind, "huge") == 0)
			oci_file(t, "etc/passwd", 0644, "");
		else
			made = mknod(path, kind[0] == 'f' ? S_IFIFO | 0644 : S_IFCHR | 0644,
				     makedev(1, 5)) == 0;
		if (strcmp(kind, "huge") == 0)
			made = truncate(path, 1 << 30) == 0;
		if (!CHECK(made, "%s: cannot be made", kind))
			return;
		OCI_PRINTS(t, spec, "/\n");
		spec->process->user->username = oci_str(t, "root");
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, rows[i].text);
	}
}

static void
args(struct oci *t)
{
	OCI_PRINTS(t, oci_spec(t, ARGS("/bin/echo", "a b", "", "c")), "a b  c\n");
}

/* Programs are looked up in the container's PATH; one that is not found fails the call. */
static void
path(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_dir(t, "first", 0755);
	oci_dir(t, "second", 0755);
	oci_file(t, "first/program", 0644, "#!/bin/sh\necho first\n");
	oci_file(t, "second/program", 0755, "#!/bin/sh\necho second\n");
	spec = oci_spec(t, ARGS("program"));
	spec->process->env =
		oci_strings(t, &spec->process->n_env, ARGS("PATH=/none:/first:/second:/bin"));
	OCI_PRINTS(t, spec, "second\n");
	spec->process->args = oci_strings(t, &spec->process->n_args, ARGS("nowhere"));
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "the file nowhere was not found");
	spec->process->args = oci_strings(t, &spec->process->n_args, ARGS("/bin/nowhere"));
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "the file /bin/nowhere was not found");
}

/* An execve that fails after the set-up is reported as the program's exit code. */
static void
exit_codes(struct oci *t)
{
	char out[64];

	(void)oci_rootfs(t);
	oci_file(t, "data", 0755, "no program");
	oci_file(t, "unreadable", 0644, "#!/bin/sh\n");
	oci_file(t, "script", 0755, "#!/no/interpreter\n");
	CHECK_EQ(oci_run(t, oci_spec(t, ARGS("/data")), out, sizeof(out)), 126, "format");
	CHECK_EQ(oci_run(t, oci_spec(t, ARGS("/unreadable")), out, sizeof(out)), 126, "mode");
	CHECK_EQ(oci_run(t, oci_spec(t, ARGS("/bin")), out, sizeof(out)), 126, "directory");
	CHECK_EQ(oci_run(t, oci_spec(t, ARGS("/script")), out, sizeof(out)), 127, "script");
	CHECK_EQ(oci_run(t, oci_sh(t, "exit 42"), out, sizeof(out)), 42, "its own");
	CHECK_EQ(oci_run(t, oci_sh(t, "sh -c 'kill -9 $$'; exit $?"), out, sizeof(out)), 137,
		 "a signal");
}

static void
env(struct oci *t)
{
	/* Of two entries with one name, the last value at the first place; an entry without "="
	 * is kept as it is. */
	static const char want[] = "KEY=  two\twords \0NOTHING\0=x\0EMPTY=\0MODE=pod\0PATH=/bin\0"
				   "HOME=/home/app";
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/cat", "/proc/self/environ"));
	char out[OCI_OUT];
	ssize_t n;

	(void)oci_rootfs(t);
	oci_file(t, "etc/passwd", 0644, "app:x:1000:1001::/home/app:/bin/sh\n");
	spec = oci_spec(t, ARGS("/bin/cat", "/proc/self/environ"));
	spec->process->user->uid = 1000;
	spec->process->env =
		oci_strings(t, &spec->process->n_env,
			    ARGS("PATH=/nowhere", "MODE=image", "KEY=  two\twords ", "NOTHING",
				 "=x", "EMPTY=", "HOME=", "MODE=pod", "PATH=/bin"));
	/* looked up in the PATH of the spec */
	spec->process->args =
		oci_strings(t, &spec->process->n_args, ARGS("cat", "/proc/self/environ"));
	if (!CHECK_OK(oci_launch(t, "env", spec), &t->err))
		return;
	n = oci_read(t, "env", "", out, sizeof(out));
	CHECK(n == (ssize_t)sizeof(want) && memcmp(out, want, sizeof(want)) == 0, "%zd bytes", n);
	CHECK_EQ(oci_wait(t, "env", ""), 0, "cat");
	oci_append(t, &spec->process->env, &spec->process->n_env, "HOME=/of/mine");
	spec->process->args =
		oci_strings(t, &spec->process->n_args, ARGS("/bin/sh", "-c", "echo \"<$HOME>\""));
	OCI_PRINTS(t, spec, "</of/mine>\n");
}

static void
cwd(struct oci *t)
{
	Grpc__Spec *spec;

	if (oci_needs_root(t))
		return;
	(void)oci_rootfs(t);
	oci_dir(t, "there", 0755);
	oci_link(t, "link", "/there");
	oci_link(t, "out", "../../../../../../there");
	oci_file(t, "file", 0644, "");
	spec = oci_sh(t, "oci-probe getcwd; stat -c '%%u %%a' .");
	spec->process->cwd = oci_str(t, "/made/for/it");
	OCI_PRINTS(t, spec, "/made/for/it /made/for/it\n0 755\n");
	spec = oci_spec(t, ARGS("/bin/oci-probe", "getcwd"));
	spec->process->cwd = oci_str(t, "/link");
	OCI_PRINTS(t, spec, "/there /there\n");
	spec->process->cwd = oci_str(t, "/out");
	OCI_PRINTS(t, spec, "/there /there\n");
	spec->process->cwd = oci_str(t, "/file");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "working directory");
	spec->process->cwd = oci_str(t, "relative");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "process.cwd");
}

/* No fd or process of the agent gives access to a directory of the guest. */
static void
cwd_escape(struct oci *t)
{
	static const char *const magic[] = { "/proc/self/cwd", "/proc/1/root", "/proc/self/root",
					     "/proc/thread-self/root", "/proc/1/cwd" };
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/true"));

	for (int fd = 0; fd < 64; fd++) {
		spec->process->cwd = oci_str(t, "/proc/self/fd/%d", fd);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "working directory");
	}
	for (size_t i = 0; i < ARRAY_LEN(magic); i++) {
		spec->process->cwd = oci_str(t, "%s", magic[i]);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "working directory");
	}
}

static void
terminal(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "tty; stty size; stat -c '%%u %%t:%%T' /dev/console /dev/pts/0;"
			  " echo seen > /dev/console; cat /proc/self/stat | cut -d' ' -f7");

	spec->process->terminal = true;
	spec->process->user->uid = 1000;
	(void)OCI_MSG(t, spec->process->consolesize, grpc__box__init);
	spec->process->consolesize->height = 33;
	spec->process->consolesize->width = 77;
	OCI_PRINTS(t, spec, "/dev/pts/0\r\n33 77\r\n1000 88:0\r\n1000 88:0\r\nseen\r\n34816\r\n");
	spec = oci_sh(t,
		      "tty; test -e /dev/console || echo none; test -c /dev/tty && cat < /dev/tty");
	CHECK_OK(oci_launch(t, "plain", spec), &t->err);
	CHECK_EQ(oci_wait(t, "plain", ""), 1, "it has a terminal");
}

/* Root gets the capabilities that its permitted set and no_new_privs allow: each set has a
 * visible effect. */
static void
capabilities(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, CAPS);
	Grpc__LinuxCapabilities *c = spec->process->capabilities;

	/* CAP_CHOWN 0, CAP_KILL 5, CAP_SETUID 7, CAP_NET_RAW 13 */
	c->bounding = oci_words(t, "CAP_CHOWN,cap_kill,\"CAP_SETUID\"", &c->n_bounding);
	c->permitted = oci_words(t, "CHOWN,CAP_KILL", &c->n_permitted);
	c->effective = oci_words(t, "CAP_CHOWN", &c->n_effective);
	c->n_inheritable = c->n_ambient = 0;
	spec->process->nonewprivileges = true;
	OCI_PRINTS(t, spec,
		   "CapInh:0000000000000000\nCapPrm:0000000000000021\nCapEff:0000000000000021\n"
		   "CapBnd:00000000000000a1\nCapAmb:0000000000000000\n");
	/* A user other than root keeps only the ambient set. */
	spec->process->user->uid = 1000;
	c->permitted = oci_words(t, "CAP_CHOWN,CAP_KILL", &c->n_permitted);
	c->inheritable = oci_words(t, "CAP_KILL,CAP_CHOWN", &c->n_inheritable);
	c->ambient = oci_words(t, "CAP_KILL", &c->n_ambient);
	OCI_PRINTS(t, spec,
		   "CapInh:0000000000000021\nCapPrm:0000000000000020\nCapEff:0000000000000020\n"
		   "CapBnd:00000000000000a1\nCapAmb:0000000000000020\n");
}

/* Unknown names and impossible sets are left out and do not fail the container. */
static void
capabilities_left_out(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, CAPS);
	Grpc__LinuxCapabilities *c = spec->process->capabilities;

	c->bounding = oci_words(t, "CAP_NO_SUCH,CAP_CHOWN,63,,CAP_KILL", &c->n_bounding);
	c->permitted = oci_words(t, "CAP_KILL,CAP_NO_SUCH", &c->n_permitted);
	/* effective: not in the permitted set; inheritable: not in the bounding set; ambient:
	 * not in the inheritable set */
	c->effective = oci_words(t, "CAP_KILL,CAP_CHOWN", &c->n_effective);
	c->inheritable = oci_words(t, "CAP_KILL,CAP_NET_RAW", &c->n_inheritable);
	c->ambient = oci_words(t, "CAP_KILL,CAP_NET_RAW,CAP_CHOWN", &c->n_ambient);
	spec->process->user->uid = 1000;
	spec->process->nonewprivileges = true;
	OCI_PRINTS(t, spec,
		   "CapInh:0000000000000020\nCapPrm:0000000000000020\nCapEff:0000000000000020\n"
		   "CapBnd:0000000000000021\nCapAmb:0000000000000020\n");
}

/* The effective set is lost on execve, but it is used to look up and execute the program. */
static void
effective(struct oci *t)
{
	Grpc__LinuxCapabilities *c;
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_dir(t, "hidden", 0700);
	oci_link(t, "hidden/echo", "/bin/busybox");
	spec = oci_spec(t, ARGS("/hidden/echo", "found"));
	spec->process->user->uid = 1000;
	c = spec->process->capabilities;
	c->effective = oci_words(t, "CAP_DAC_OVERRIDE", &c->n_effective);
	OCI_PRINTS(t, spec, "found\n");
	c->n_effective = 0;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "the file /hidden/echo was not found");
}

struct limit {
	const char *type;
	int resource;
	uint64_t soft, hard;
	bool raised;
};

static const struct limit limits[] = {
	{ "RLIMIT_CPU", 0, 333, 444 },
	{ "RLIMIT_FSIZE", 1, 1 << 20, 1 << 21 },
	{ "RLIMIT_DATA", 2, UINT64_C(1) << 33, UINT64_C(1) << 34 },
	{ "RLIMIT_STACK", 3, 4 << 20, 6 << 20 },
	{ "RLIMIT_CORE", 4, 111, 222 },
	{ "RLIMIT_RSS", 5, 1 << 30, 1 << 30 },
	{ "RLIMIT_NPROC", 6, 501, 502 },
	{ "RLIMIT_NOFILE", 7, 77, 99 },
	{ "RLIMIT_MEMLOCK", 8, 4096, 8192 },
	{ "RLIMIT_AS", 9, UINT64_C(1) << 34, UINT64_C(1) << 35 },
	{ "RLIMIT_LOCKS", 10, 55, 66 },
	{ "RLIMIT_SIGPENDING", 11, 70, 80 },
	{ "RLIMIT_MSGQUEUE", 12, 1000, 2000 },
	{ "RLIMIT_NICE", 13, 5, 7, true },
	{ "RLIMIT_RTPRIO", 14, 3, 4, true },
	{ "RLIMIT_RTTIME", 15, 1000000, 2000000 },
};

static void
rlimits(struct oci *t)
{
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/true"));
	char *want = oci_str(t, "%s", ""), *script = want;

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		/* Raising a limit takes a capability that root of this machine may lack. */
		if (limits[i].raised && !t->is_vm)
			continue;
		oci_rlimit(t, spec->process, limits[i].type, limits[i].soft, limits[i].hard);
		script = oci_str(t, "%soci-probe rlimit %d;", script, limits[i].resource);
		want = oci_str(t, "%s%" PRIu64 " %" PRIu64 "\n", want, limits[i].soft,
			       limits[i].hard);
	}
	spec->process->args = oci_strings(t, &spec->process->n_args, ARGS("/bin/sh", "-c", script));
	OCI_PRINTS(t, spec, want);
	spec = oci_sh(t, "ulimit -n");
	OCI_PRINTS(t, spec, "1024\n");
	oci_rlimit(t, spec->process, "RLIMIT_PATIENCE", 1, 1);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "RLIMIT_PATIENCE");
	spec->process->rlimits[0]->type = oci_str(t, "RLIMIT_NOFILE");
	spec->process->rlimits[0]->soft = 2;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "is above hard limit");
}

/* The value of fs.nr_open that systemd sets in Kata's own image; hosts pass it on to containers. */
static void
many_files(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "ulimit -n; ulimit -Hn");

	if (oci_needs_vm(t))
		return;
	oci_rlimit(t, spec->process, "RLIMIT_NOFILE", 1073741816, 1073741816);
	OCI_PRINTS(t, spec, "1073741816\n1073741816\n");
}

/* Limits below the needs of the set-up apply to the program, not to the set-up. */
static void
tight_rlimits(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "ulimit -n; ulimit -v; ulimit -s");

	oci_seccomp(t, spec, "swapon", "SCMP_ACT_ERRNO");
	oci_rlimit(t, spec->process, "RLIMIT_NOFILE", 3, 3);
	oci_rlimit(t, spec->process, "RLIMIT_AS", 8 << 20, 8 << 20);
	oci_rlimit(t, spec->process, "RLIMIT_STACK", 128 << 10, 128 << 10);
	oci_rlimit(t, spec->process, "RLIMIT_FSIZE", 0, 0);
	OCI_PRINTS(t, spec, "3\n8192\n128\n");
}

static void
no_new_privs(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "grep NoNewPrivs /proc/self/status");

	spec->process->nonewprivileges = true;
	OCI_PRINTS(t, spec, "NoNewPrivs:\t1\n");
	spec->process->nonewprivileges = false;
	OCI_PRINTS(t, spec, "NoNewPrivs:\t0\n");
}

static void
oom_score(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cat /proc/self/oom_score_adj");

	spec->process->oomscoreadj = 321;
	OCI_PRINTS(t, spec, "321\n");
	spec->process->oomscoreadj = 0;
	OCI_PRINTS(t, spec, "0\n");
	spec->process->oomscoreadj = 1001;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "process.oomScoreAdj");
	if (!t->is_vm)
		return;
	spec->process->oomscoreadj = -999;
	OCI_PRINTS(t, spec, "-999\n");
}

/* Attributes without a field: umask, signals, session. */
static void
fresh(struct oci *t)
{
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/oci-probe", "umask"));

	OCI_PRINTS(t, spec, "0022\n");
	spec = oci_spec(t, ARGS("/bin/grep", "-E", "^(Sig(Blk|Ign)|NSsid)", "/proc/self/status"));
	OCI_PRINTS(t, spec, "NSsid:\t1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void
census(struct oci *t)
{
	Grpc__Spec *spec = oci_spec(t, ARGS("/bin/sh", "-c", "oci-probe fds | cut -d' ' -f1"));

	/* The pipe of sh belongs to cut, not to the probe. */
	OCI_PRINTS(t, spec, "0\n1\n2\n");
	spec->process->terminal = true;
	OCI_PRINTS(t, spec, "0\r\n1\r\n2\r\n");
}

const struct oci_case oci_process_cases[] = {
	{ "process.user.uid", "the uid", uid },
	{ "process.user.gid", "the gid", gid },
	{ "process.user.additionalgids", "exactly the requested groups", groups },
	{ "process.user.username", "a user by name", username },
	{ "attack", "a hostile passwd", hostile_passwd },
	{ "process.args", "arguments arrive verbatim", args },
	{ "process.args", "the program is found in PATH", path },
	{ "state", "exit codes of programs that cannot be executed", exit_codes },
	{ "process.env", "the last value of each environment variable", env },
	{ "process.cwd", "the working directory", cwd },
	{ "attack", "a working directory outside the root", cwd_escape },
	{ "process.terminal", "a terminal of its own", terminal },
	{ "process.capabilities", "capability sets", capabilities },
	{ "process.capabilities", "capabilities that cannot be granted", capabilities_left_out },
	{ "process.capabilities.effective", "the effective set executes the program", effective },
	{ "process.rlimits", "every resource limit", rlimits },
	{ "process.rlimits", "limits below the set-up's own needs", tight_rlimits },
	{ "process.rlimits", "RLIMIT_NOFILE of 1073741816", many_files },
	{ "process.nonewprivileges", "no_new_privs", no_new_privs },
	{ "process.oomscoreadj", "the OOM score adjustment", oom_score },
	{ "process", "umask, signals and session of a process", fresh },
	{ "attack", "fds of a process", census },
};
const size_t n_oci_process_cases = ARRAY_LEN(oci_process_cases);
