/* SPDX-License-Identifier: Apache-2.0 */
/* Guarantees of the runtime specification for every container, whatever its spec: default file
 * systems, links, the order of states, signals, and syscall fallbacks. See oci.h. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/oci/oci.h"

static void
file_systems(struct oci *t)
{
	OCI_PRINTS(
		t,
		oci_sh(t,
		       "for m in /proc /dev /dev/pts /dev/shm /dev/mqueue /sys /sys/fs/cgroup; do "
		       "awk -v m=$m '$5 == m { sub(/.* - /, \"\"); "
		       "fs = $1 } END { print m, fs }' /proc/self/mountinfo; done"),
		"/proc proc\n/dev tmpfs\n/dev/pts devpts\n/dev/shm tmpfs\n/dev/mqueue mqueue\n"
		"/sys sysfs\n/sys/fs/cgroup cgroup2\n");
}

/* /proc shows the container's own pid namespace. */
static void
proc_is_its_own(struct oci *t)
{
	OCI_PRINTS(t, oci_sh(t, "readlink /proc/self; echo $$; set -- /proc/[0-9]*; echo $#"),
		   "2\n1\n1\n");
}

static void
default_devices(struct oci *t)
{
	OCI_PRINTS(t,
		   oci_sh(t, "cd /dev; for d in null zero full random urandom tty; "
			     "do stat -c '%%n %%F %%t:%%T %%a %%u:%%g' $d; done"),
		   "null character special file 1:3 666 0:0\n"
		   "zero character special file 1:5 666 0:0\n"
		   "full character special file 1:7 666 0:0\n"
		   "random character special file 1:8 666 0:0\n"
		   "urandom character special file 1:9 666 0:0\n"
		   "tty character special file 5:0 666 0:0\n");
}

static void
default_devices_work(struct oci *t)
{
	OCI_PRINTS(t,
		   oci_sh(t, "echo x >/dev/null; head -c 3 /dev/zero | od -An -tx1; "
			     "head -c 4 /dev/urandom | wc -c; "
			     "echo x 2>/dev/null >/dev/full || echo full; cat /dev/null | wc -c"),
		   " 00 00 00\n4\nfull\n0\n");
}

static void
default_links(struct oci *t)
{
	OCI_PRINTS(t,
		   oci_sh(t, "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; "
			     "echo through >/dev/stdout"),
		   "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n"
		   "through\n");
}

static void
without_linux(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	spec->linux = NULL;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux: missing");
}

static void
intel_rdt(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	Grpc__LinuxIntelRdt *rdt = OCI_MSG(t, spec->linux->intelrdt, grpc__linux_intel_rdt__init);

	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.intelRdt");
	rdt->l3cacheschema = oci_str(t, "L3:0=f");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.intelRdt");
}

/* Fields of other platforms are ignored and are not errors. */
static void
other_platforms(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo runs");

	(void)OCI_MSG(t, spec->solaris, grpc__solaris__init);
	OCI_MSG(t, spec->windows, grpc__windows__init)->dummy = oci_str(t, "x");
	OCI_PRINTS(t, spec, "runs\n");
}

/* ---- states ---- */

static void
states_in_order(struct oci *t)
{
	CHECK_LT(oci_start(t, "c1"), 0, "started before it was created");
	if (!CHECK_OK(oci_create(t, "c1", oci_sh(t, "read x; exit 3")), &t->err))
		return;
	CHECK_FAILS(oci_create(t, "c1", oci_sh(t, "true")), &t->err, ERROR_ALREADY_EXISTS, "",
		    "created twice");
	CHECK_OK(oci_start(t, "c1"), &t->err);
	CHECK_LT(oci_start(t, "c1"), 0, "started twice");
	CHECK_OK(close_stdin(&t->h, "c1", "", &t->err), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 3, "%s", t->err.msg);
	CHECK_LT(oci_start(t, "c1"), 0, "started after its end");
	CHECK_FAILS(oci_exec(t, "c1", "x1", oci_process(t, ARGS("/bin/true"))), &t->err,
		    ERROR_NOT_FOUND, "", "exec after the end");
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	CHECK(oci_remove(t, "c1") < 0 && strstr(t->err.msg, "c1"), "removed twice: %s", t->err.msg);
	CHECK_LT(oci_kill(t, "c1", "", SIGKILL), 0, "killed after it was removed");
	CHECK_LT(oci_start(t, "c1"), 0, "started after it was removed");
}

static void
removed_without_start(struct oci *t)
{
	(void)oci_rootfs(t);
	if (!CHECK_OK(oci_create(t, "c1", oci_sh(t, "echo ran >/ran")), &t->err))
		return;
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	CHECK(!*oci_file_text(t, "ran"), "its program ran");
	OCI_PRINTS(t, oci_sh(t, "echo again"), "again\n");
}

static void
removed_while_it_runs(struct oci *t)
{
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "echo r; sleep 3600")), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "c1", "", "r"), &t->err);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
}

/* An id names a directory and a cgroup. */
static void
ids(struct oci *t)
{
	static const char *const bad[] = { "",   ".",  "..",  "a/b", "../a", "a b", "a",
					   ".x", "_x", "a\n", "/a",  "-x",   "a%s", "\xc3\xa4" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_FAILS(oci_create(t, bad[i], oci_sh(t, "true")), &t->err,
			    ERROR_INVALID_ARGUMENT, "", "\"%s\": %s", bad[i], t->err.msg);
	CHECK_OK(oci_create(t, "A.b_c-9", oci_sh(t, "true")), &t->err);
}

static void
what_it_leaves_is_gone(struct oci *t)
{
	char out[OCI_OUT];

	if (oci_needs_vm(t))
		return;
	if (!CHECK_OK(oci_launch(t, "c-left", oci_sh(t, "setsid sleep 3600 & exit 0")), &t->err))
		return;
	CHECK_OK(oci_wait(t, "c-left", ""), &t->err);
	CHECK_OK(oci_remove(t, "c-left"), &t->err);
	CHECK_OK(oci_guest(t, out, sizeof(out),
			   "find $R/sys/fs/cgroup $R/run -name '*c-left*' 2>/dev/null; "
			   "grep c-left $P/1/mountinfo; true"),
		 &t->err);
	CHECK(!*out, "left: %s", out);
}

/* ---- kill ---- */

static void
signals_arrive(struct oci *t)
{
	static const struct {
		int number;
		const char *name;
	} rows[] = { { SIGHUP, "HUP" },    { SIGINT, "INT" },   { SIGQUIT, "QUIT" },
		     { SIGUSR1, "USR1" },  { SIGUSR2, "USR2" }, { SIGTERM, "TERM" },
		     { SIGWINCH, "WINCH" } };

	if (!CHECK_OK(oci_launch(t, "c1",
				 oci_sh(t, "for s in HUP INT QUIT USR1 USR2 TERM WINCH; "
					   "do trap \"echo $s\" $s; done; "
					   "echo armed; while :; do sleep 0.05; done")),
		      &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "c1", "", "armed"), &t->err))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_OK(oci_kill(t, "c1", "", rows[i].number), &t->err);
		CHECK_EQ(oci_read_line(t, "c1", "", rows[i].name), 0, "%s: %s", rows[i].name,
			 t->err.msg);
	}
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 128 + SIGKILL, "%s", t->err.msg);
}

static void
killed_before_start(struct oci *t)
{
	(void)oci_rootfs(t);
	if (!CHECK_OK(oci_create(t, "c1", oci_sh(t, "echo ran >/ran")), &t->err))
		return;
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 128 + SIGKILL, "%s", t->err.msg);
	CHECK_LT(oci_start(t, "c1"), 0, "a dead container started");
	CHECK(!*oci_file_text(t, "ran"), "its program ran");
}

static void
a_kill_after_the_end_is_no_error(struct oci *t)
{
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "exit 0")), &t->err))
		return;
	CHECK_OK(oci_wait(t, "c1", ""), &t->err);
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	/* Host runtimes treat this error as success. */
	CHECK_FAILS(oci_kill(t, "c1", "", SIGTERM), &t->err, ERROR_NOT_FOUND, "");
}

/* SIGKILL without an exec id kills the whole container, including an exec's children. */
static void
sigkill_is_for_all(struct oci *t)
{
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "sleep 3600")), &t->err))
		return;
	if (!CHECK_OK(oci_exec(t, "c1", "x1",
			       oci_process(t, ARGS("/bin/sh", "-c", "sleep 3600 & wait"))),
		      &t->err))
		return;
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 137, "%s", t->err.msg);
	CHECK_EQ(oci_wait(t, "c1", "x1"), 137, "%s", t->err.msg);
}

/* fs.protected_regular and fs.protected_hardlinks would refuse these; pods get them only on the
 * host's request. */
static void
files_of_other_users(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "mkdir -m 1777 /shared; echo one >/shared/f; chown 1000 /shared/f;"
			  "echo two >>/shared/f; cat /shared/f;"
			  "cat /proc/sys/fs/protected_regular /proc/sys/fs/protected_fifos");

	if (oci_needs_vm(t))
		return;
	OCI_PRINTS(t, spec, "one\ntwo\n0\n0\n");
}

/* Tatami's kernel runs 64-bit programs only; a distribution's kernel may run others. */
static void
program_32(struct oci *t)
{
#if defined(__x86_64__)
	/* i386: one segment that covers the file, at 0x8048000; exit(42) by int 0x80 */
	static const uint8_t elf[] = {
		0x7f,
		'E',
		'L',
		'F',
		1,
		1,
		1,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		2,
		0,
		3,
		0,
		1,
		0,
		0,
		0,
		0x54,
		0x80,
		4,
		8,
		52,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		52,
		0,
		32,
		0,
		1,
		/* program header */
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		1,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0x80,
		4,
		8,
		0,
		0x80,
		4,
		8,
		96,
		0,
		0,
		0,
		96,
		0,
		0,
		0,
		5,
		0,
		0,
		0,
		0,
		0x10,
		0,
		0,
		0xb8,
		1,
		0,
		0,
		0,
		0xbb,
		42,
		0,
		0,
		0,
		0xcd,
		0x80,
	};
	char out[OCI_OUT], path[600];
	auto_close int fd = -1;
	bool runs;

	/* A sysctl that exists only in kernels with support for 32-bit programs. */
	if (!CHECK_OK(oci_guest(t, out, sizeof(out),
				"test -e $P/sys/abi/vsyscall32 && echo yes; true"),
		      &t->err))
		return;
	runs = strncmp(out, "yes", 3) == 0;
	(void)oci_rootfs(t);
	oci_file(t, "i386", 0755, "");
	(void)snprintf(path, sizeof(path), "%s/i386", t->rootfs);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (!CHECK(fd >= 0 && write_full(fd, elf, sizeof(elf)) == 0, "write %s", path))
		return;
	close_fd(&fd);
	CHECK_EQ(oci_run(t, oci_spec(t, ARGS("/i386")), out, sizeof(out)), runs ? 42 : 126, "%s",
		 runs ? "run" : "refused");
#else
	t->skip = "needs a program of 32-bit ARM";
#endif
}

/* A syscall newer than the newest one in the profile did not exist when the profile was written:
 * programs fall back on ENOSYS but not on EPERM. From 424 on, numbers are the same on all
 * architectures. */
static void
seccomp_newer(struct oci *t)
{
	/* the syscalls of the probe, and the newest one: pidfd_send_signal, 424 */
	static const char names[] =
		"execve,exit_group,exit,write,writev,brk,mmap,mprotect,munmap,fstat,newfstatat,"
		"arch_prctl,set_tid_address,set_robust_list,rseq,prlimit64,readlink,readlinkat,"
		"getrandom,ioctl,pidfd_send_signal";
	static const struct {
		int nr;
		const char *want;
	} rows[] = {
		{ 423, "error 1 Operation not permitted\n" },
		{ 424, "error 9 Bad file descriptor\n" },
		/* io_uring_setup */
		{ 425, "error 38 Function not implemented\n" },
		/* pidfd_open */
		{ 434, "error 38 Function not implemented\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *spec = oci_spec(
			t, ARGS("/bin/oci-probe", "syscall", oci_str(t, "%d", rows[i].nr), "-1"));

		(void)oci_seccomp(t, spec, names, "SCMP_ACT_ALLOW");
		spec->linux->seccomp->defaultaction = oci_str(t, "SCMP_ACT_ERRNO");
		OCI_PRINTS(t, spec, rows[i].want);
	}
}

const struct oci_case oci_default_cases[] = {
	{ "default", "default file systems", file_systems },
	{ "default", "the container's own /proc", proc_is_its_own },
	{ "default", "default devices", default_devices },
	{ "default", "default devices work", default_devices_work },
	{ "default", "default links", default_links },
	{ "default", "files of other users", files_of_other_users },
	{ "default", "a 32-bit program", program_32 },
	{ "linux.seccomp.syscalls.names", "syscalls newer than the profile", seccomp_newer },
	{ "linux", "a spec without linux is refused", without_linux },
	{ "linux.intelrdt", "intelRdt is refused", intel_rdt },
	{ "windows", "fields of other platforms are ignored", other_platforms },
	{ "state", "states in order", states_in_order },
	{ "state", "removal without a start", removed_without_start },
	{ "state", "removal of a running container", removed_while_it_runs },
	{ "state", "container ids", ids },
	{ "state", "no leftovers after removal", what_it_leaves_is_gone },
	{ "kill", "delivery of signals", signals_arrive },
	{ "kill", "a kill before the start", killed_before_start },
	{ "kill", "a kill after the exit succeeds", a_kill_after_the_end_is_no_error },
	{ "kill", "SIGKILL reaches every process", sigkill_is_for_all },
};
const size_t n_oci_default_cases = ARRAY_LEN(oci_default_cases);
