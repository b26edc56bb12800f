/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our seccomp programs against libseccomp's own: both are interpreted for every system call number,
 * several architectures and interesting arguments, and must say the same.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/exec_report.h"
#include "agent/container/seccomp/filter.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/seccomp/filter_reference.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(filter, .fini = spec_release_all);

/* Arguments around what the rules compare with. */
static const uint64_t probes[] = {
	0,          1,          2,          3,           8,           9,           10,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001, 0x10000000a, 0x7e020000,
	0x10000000, UINT64_MAX, 40,         41,          0x20000,
};

static void
compare(const struct filter *ours, const struct reference *theirs, uint32_t arch, uint32_t nr)
{
	struct seccomp_data data = { .arch = arch, .nr = (int)nr };

	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(probes); j += 3) {
			uint32_t a, b;

			data.args[0] = probes[i];
			data.args[1] = probes[j];
			data.args[2] = probes[(i + j) % ARRAY_LEN(probes)];
			a = reference_answer(ours->insns, ours->n, &data);
			b = reference_expects(theirs, &data);
			REQUIRE_EQ(
				a, b,
				"arch %#x call %u args %#lx %#lx %#lx: ours %#x, libseccomp's %#x",
				arch, nr, (long)data.args[0], (long)data.args[1],
				(long)data.args[2], a, b);
		}
	}
}

static struct rule_row rules[] = {
	{ "SCMP_ACT_ALLOW",
	  "read,write,openat,close,execve,exit_group,mmap,brk,no_such_call,futex,uname" },
	{ "SCMP_ACT_ALLOW", "getpid,gettid,getuid,getgid,geteuid,poll,lseek,stat,fstat,lstat" },
	{ "SCMP_ACT_ALLOW", "clone", 1, { { 0, "SCMP_CMP_MASKED_EQ", 0x7e020000, 0 } } },
	{ "SCMP_ACT_ALLOW", "personality", 1, { { 0, "SCMP_CMP_EQ", 0, 0 } } },
	{ "SCMP_ACT_ALLOW", "personality", 1, { { 0, "SCMP_CMP_EQ", 8, 0 } } },
	{ "SCMP_ACT_ALLOW", "personality", 1, { { 0, "SCMP_CMP_EQ", 0xffffffff, 0 } } },
	{ "SCMP_ACT_ALLOW",
	  "ioctl",
	  2,
	  { { 0, "SCMP_CMP_GT", 2, 0 }, { 1, "SCMP_CMP_LE", 0x7fffffff, 0 } } },
	{ "SCMP_ACT_ALLOW",
	  "fcntl",
	  2,
	  { { 0, "SCMP_CMP_GE", 0x80000000, 0 }, { 1, "SCMP_CMP_LT", 10, 0 } } },
	{ "SCMP_ACT_ALLOW",
	  "prctl",
	  3,
	  { { 0, "SCMP_CMP_NE", 9, 0 }, { 1, "SCMP_CMP_EQ", 1, 0 }, { 2, "SCMP_CMP_GE", 1, 0 } } },
	{ "SCMP_ACT_KILL_PROCESS", "ptrace" },
	{ "SCMP_ACT_TRAP", "reboot,kexec_load" },
};

static const char *const native_only[] = { NULL };
static const char *const three[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL };
static const char *const two[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", NULL };

#define ARCH_64 SCMP_ARCH_X86_64
#define ARCH_32 SCMP_ARCH_X86

static void
compare_all(const struct filter *ours, const struct reference *theirs)
{
	for (uint32_t nr = 0; nr < 480; nr++) {
		compare(ours, theirs, ARCH_64, nr);
		compare(ours, theirs, ARCH_32, nr);
		compare(ours, theirs, ARCH_64, nr | 0x40000000);
	}
	compare(ours, theirs, ARCH_64, UINT32_MAX);
	compare(ours, theirs, ARCH_64, 0x3fffffff);
	compare(ours, theirs, ARCH_32, UINT32_MAX);
	compare(ours, theirs, SCMP_ARCH_AARCH64, 1);
}

Test(filter, same_as_libseccomp)
{
	static const uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
	static const struct {
		const char *const *archs;
		size_t n;
		const char *action;
	} rows[] = {
		{ native_only, 0, "SCMP_ACT_ERRNO" },
		{ two, 2, "SCMP_ACT_ERRNO" },
		{ three, 3, "SCMP_ACT_ERRNO" },
		{ three, 3, "SCMP_ACT_LOG" },
	};
	auto_free struct filter *ours = malloc(sizeof(*ours));
	auto_free struct reference *theirs = malloc(sizeof(*theirs));

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		cr_skip_test("compares the programs of x86");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		reference_ours(rows[i].action, rows[i].archs, rules, ARRAY_LEN(rules), ours);
		REQUIRE(reference_make(rows[i].action, tokens, rows[i].n, rules, ARRAY_LEN(rules),
				       theirs));
		compare_all(ours, theirs);
	}
}

/* The default is the answer for each architecture, not the refusal of a foreign one. */
Test(filter, same_as_libseccomp_without_rules)
{
	static const uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
	static const char *const actions[] = { "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO" };
	auto_free struct filter *ours = malloc(sizeof(*ours));
	static struct reference theirs;

	REQUIRE(ours);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		REQUIRE(reference_make(actions[i], tokens, ARRAY_LEN(tokens), NULL, 0, &theirs));
		reference_ours(actions[i], three, NULL, 0, ours);
		compare_all(ours, &theirs);
	}
}

/* Values beyond 32 bits. */
Test(filter, same_as_libseccomp_for_wide_values)
{
	static struct rule_row wide[] = {
		{ "SCMP_ACT_ALLOW", "ioctl", 1, { { 1, "SCMP_CMP_LE", 0x100000000, 0 } } },
		{ "SCMP_ACT_ALLOW", "fcntl", 1, { { 1, "SCMP_CMP_GT", 0x100000000, 0 } } },
		{ "SCMP_ACT_ALLOW", "prctl", 1, { { 0, "SCMP_CMP_GE", 0x100000001, 0 } } },
		{ "SCMP_ACT_ALLOW", "mmap", 1, { { 0, "SCMP_CMP_LT", 0x100000001, 0 } } },
		{ "SCMP_ACT_ALLOW",
		  "clone",
		  1,
		  { { 0, "SCMP_CMP_MASKED_EQ", 0xff00000000, 0x100000000 } } },
		{ "SCMP_ACT_ALLOW", "read", 1, { { 0, "SCMP_CMP_NE", UINT64_MAX, 0 } } },
	};
	auto_free struct filter *ours = malloc(sizeof(*ours));
	auto_free struct reference *theirs = malloc(sizeof(*theirs));

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		cr_skip_test("compares the programs of x86");
	reference_ours("SCMP_ACT_ERRNO", native_only, wide, ARRAY_LEN(wide), ours);
	REQUIRE(reference_make("SCMP_ACT_ERRNO", NULL, 0, wide, ARRAY_LEN(wide), theirs));
	for (uint32_t nr = 0; nr < 480; nr++)
		compare(ours, theirs, ARCH_64, nr);
}

/* Whole lists of names, as real profiles have them: every third, denied or allowed. */
Test(filter, same_as_libseccomp_for_long_lists)
{
	static const char *const actions[][2] = {
		{ "SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW" },
		{ "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO" },
		{ "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS" },
	};
	static const uint32_t tokens[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
	auto_free struct filter *ours = malloc(sizeof(*ours));
	auto_free struct reference *theirs = malloc(sizeof(*theirs));
	char names[16384] = "";

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		cr_skip_test("compares the programs of x86");
	for (int nr = 0; nr < 460; nr++) {
		char *name = nr % 3 ? seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr) : NULL;

		if (name) {
			strcat(names, name);
			strcat(names, ",");
		}
		free(name);
	}
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		struct rule_row row = { .action = actions[i][1], .names = names };

		reference_ours(actions[i][0], three, &row, 1, ours);
		REQUIRE(reference_make(actions[i][0], tokens, 3, &row, 1, theirs));
		compare_all(ours, theirs);
	}
}

/* Several conditions on one argument are alternatives. */
Test(filter, repeated_argument)
{
	static const struct rule_row row = { "SCMP_ACT_ALLOW",
					     "personality",
					     2,
					     { { 0, "SCMP_CMP_EQ", 1, 0 },
					       { 0, "SCMP_CMP_EQ", 8, 0 } } };
	auto_free struct filter *ours = malloc(sizeof(*ours));
	struct seccomp_data data = { .arch = seccomp_arch_native() };

	reference_ours("SCMP_ACT_ERRNO", native_only, &row, 1, ours);
	data.nr = seccomp_syscall_resolve_name("personality");
	for (uint64_t value = 0; value < 10; value++) {
		data.args[0] = value;
		REQUIRE_EQ(reference_answer(ours->insns, ours->n, &data),
			   value == 1 || value == 8 ? SECCOMP_RET_ALLOW
						    : SECCOMP_RET_ERRNO | EPERM);
	}
}

/* A profile whose newest call is faccessat2 (439 everywhere), with one that has no number, and
 * one that only repeats the default. */
Test(filter, newer_calls_get_enosys)
{
	static const char *const archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", NULL };
	static const char *const all[] = { "SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
					   NULL };
	static const struct rule_row profile[] = {
		/* openat2: 437 */
		{ "SCMP_ACT_ALLOW", "read,write,openat2,no_such_call" },
		{ "SCMP_ACT_ERRNO", "faccessat2" },
	};
	const uint32_t enosys = SECCOMP_RET_ERRNO | ENOSYS, eperm = SECCOMP_RET_ERRNO | EPERM;
	const struct {
		const char *action;
		const char *const *archs;
		uint32_t arch, nr, answer;
	} rows[] = {
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 437, SECCOMP_RET_ALLOW },
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 438, eperm },
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 439, eperm },
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 440, enosys },
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 0x3fffffff, enosys },
		{ "SCMP_ACT_ERRNO", archs, ARCH_64, 0x40000000, SECCOMP_RET_KILL },
		{ "SCMP_ACT_ERRNO", archs, SCMP_ARCH_AARCH64, 439, eperm },
		{ "SCMP_ACT_ERRNO", archs, SCMP_ARCH_AARCH64, 440, enosys },
		{ "SCMP_ACT_ERRNO", archs, SCMP_ARCH_AARCH64, UINT32_MAX, enosys },
		{ "SCMP_ACT_ERRNO", archs, ARCH_32, 440, SECCOMP_RET_KILL },
		{ "SCMP_ACT_KILL_PROCESS", archs, ARCH_64, 438, SECCOMP_RET_KILL_PROCESS },
		{ "SCMP_ACT_KILL_PROCESS", archs, ARCH_64, 440, enosys },
		{ "SCMP_ACT_TRAP", archs, ARCH_64, 440, enosys },
		{ "SCMP_ACT_ALLOW", archs, ARCH_64, 440, SECCOMP_RET_ALLOW },
		{ "SCMP_ACT_LOG", archs, ARCH_64, 440, SECCOMP_RET_LOG },
		{ "SCMP_ACT_TRACE", archs, ARCH_64, 440, SECCOMP_RET_TRACE | EPERM },
		/* Each ABI is judged separately, independent of the order. */
		{ "SCMP_ACT_ERRNO", all, ARCH_64, 439, eperm },
		{ "SCMP_ACT_ERRNO", all, ARCH_64, 440, enosys },
		{ "SCMP_ACT_ERRNO", all, ARCH_64, 0x40000000, SECCOMP_RET_ALLOW },
		{ "SCMP_ACT_ERRNO", all, ARCH_64, 0x40000000 | 439, eperm },
		{ "SCMP_ACT_ERRNO", all, ARCH_64, 0x40000000 | 440, enosys },
		{ "SCMP_ACT_ERRNO", all, ARCH_32, 439, eperm },
		{ "SCMP_ACT_ERRNO", all, ARCH_32, 440, enosys },
	};
	auto_free struct filter *f = malloc(sizeof(*f));

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		cr_skip_test("knows the numbers of x86");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seccomp_data data = { .arch = rows[i].arch, .nr = (int)rows[i].nr };

		reference_ours(rows[i].action, rows[i].archs, profile, ARRAY_LEN(profile), f);
		CHECK_EQ(reference_answer(f->insns, f->n, &data), rows[i].answer,
			 "row %zu: %s %#x %#x", i, rows[i].action, rows[i].arch, rows[i].nr);
	}
}

/* Without a known call of the ABI, no call counts as newer. */
Test(filter, no_newest_call)
{
	static const struct rule_row profile[] = { { "SCMP_ACT_ALLOW", "no_such_call" } };
	auto_free struct filter *f = malloc(sizeof(*f));
	struct seccomp_data data = { .arch = seccomp_arch_native(), .nr = 470 };

	reference_ours("SCMP_ACT_ERRNO", native_only, profile, ARRAY_LEN(profile), f);
	CHECK_EQ(reference_answer(f->insns, f->n, &data), SECCOMP_RET_ERRNO | EPERM);
}

Test(filter, errno_of_zero_is_eperm)
{
	Grpc__LinuxSeccomp *p = spec_seccomp("SCMP_ACT_ALLOW");
	Grpc__LinuxSyscall *rule = spec_seccomp_rule(p, "SCMP_ACT_ERRNO", "mkdirat");
	auto_free struct filter *f = malloc(sizeof(*f));
	struct seccomp_data data = { .arch = seccomp_arch_native() };
	struct error err = ERROR_INIT;

	data.nr = seccomp_syscall_resolve_name("mkdirat");
	REQUIRE_OK(filter_compile(p, f, &err), &err);
	REQUIRE_EQ(reference_answer(f->insns, f->n, &data), SECCOMP_RET_ERRNO | EPERM);
	rule->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	rule->errnoret = 0;
	REQUIRE_OK(filter_compile(p, f, &err), &err);
	REQUIRE_EQ(reference_answer(f->insns, f->n, &data), SECCOMP_RET_ERRNO | EPERM);
	rule->errnoret = 38;
	REQUIRE_OK(filter_compile(p, f, &err), &err);
	REQUIRE_EQ(reference_answer(f->insns, f->n, &data), SECCOMP_RET_ERRNO | 38);
}

/* A program over the kernel's limit is an error, not a truncated filter. */
Test(filter, too_long)
{
	Grpc__LinuxSeccomp *p = spec_seccomp("SCMP_ACT_ALLOW");
	auto_free struct filter *f = malloc(sizeof(*f));
	struct error err = ERROR_INIT;

	for (uint64_t i = 0; i < 1500; i++)
		spec_seccomp_arg(spec_seccomp_rule(p, "SCMP_ACT_ERRNO", "read"), 0, "SCMP_CMP_EQ",
				 i, 0);
	REQUIRE_OK(filter_validate(p, &err), &err);
	REQUIRE_EQ(filter_compile(p, f, &err), -1);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(err.msg, "4096");
}

/* Actions and flags that need a seccomp agent are refused by name, not as unknown. */
Test(filter, refusals)
{
	static char listener[] = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", unknown[] = "FLAG";
	static char arch[] = "SCMP_ARCH_VAX", foreign[] = "SCMP_ARCH_LOONGARCH64";
	char *list[1];
	Grpc__LinuxSeccomp *p = spec_seccomp("SCMP_ACT_ALLOW");
	Grpc__LinuxSyscall *rule = spec_seccomp_rule(p, "SCMP_ACT_NOTIFY", "mkdir");
	struct error err = ERROR_INIT;

	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(err.msg, "linux.seccomp.syscalls.action: SCMP_ACT_NOTIFY is not");
	rule->action = (char *)(uintptr_t) "SCMP_ACT_ERRNO";
	rule->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	rule->errnoret = 4096;
	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_HAS(err.msg, "errnoRet: 4096 is out of range");
	rule->action = (char *)(uintptr_t) "SCMP_ACT_TRACE";
	rule->errnoret = 0xffff;
	REQUIRE_OK(filter_validate(p, &err), &err);
	p->n_flags = p->n_architectures = 1;
	p->flags = list;
	list[0] = listener;
	p->n_architectures = 0;
	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_HAS(err.msg, "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	list[0] = unknown;
	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_HAS(err.msg, "unknown flag \"FLAG\"");
	p->n_flags = 0;
	p->n_architectures = 1;
	p->architectures = list;
	list[0] = arch;
	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_HAS(err.msg, "unknown architecture \"SCMP_ARCH_VAX\"");
	list[0] = foreign;
	REQUIRE_OK(filter_validate(p, &err), &err);
	p->n_architectures = 0;
	p->defaultaction = (char *)(uintptr_t) "SCMP_ACT_NOTIFY";
	REQUIRE_EQ(filter_validate(p, &err), -1);
	REQUIRE_HAS(err.msg, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY");
}

/* A process whose execve fails reports that with system calls that its filter allows. */
Test(filter, failed_execve_is_reported_without_forbidden_calls)
{
	static const char *const calls[] = { "statfs",     "fstatfs", "faccessat", "faccessat2",
					     "newfstatat", "openat",  "pread64",   "close",
					     "statx",      "getuid",  "write" };
	auto_free struct filter *f = malloc(sizeof(*f));
	char path[] = "/tmp/not-executable-XXXXXX";
	int fd = mkstemp(path);

	REQUIRE(fd >= 0 && fchmod(fd, 0644) == 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		Grpc__LinuxSeccomp *p = spec_seccomp("SCMP_ACT_ALLOW");
		struct error err = ERROR_INIT;
		int status;
		pid_t pid;

		(void)spec_seccomp_rule(p, "SCMP_ACT_KILL_PROCESS", calls[i]);
		REQUIRE_OK(filter_compile(p, f, &err), &err);
		pid = fork();
		REQUIRE_GE(pid, 0);
		if (pid == 0) {
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_load(f) != 0)
				_exit(1);
			_exit(exec_report_failure(-1, path, EACCES, f));
		}
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 126 << 8, "%s: %#x", calls[i], (unsigned int)status);
	}
	(void)unlink(path);
}
