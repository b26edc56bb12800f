/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles of pods: what the default profile lets through for which capabilities, as the
 * agent compiles it, and the profiles in files. */
#include <criterion/criterion.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/container/seccomp/filter.h"
#include "ctl/pod/seccomp.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static struct arena arena;
static struct filter filter;

static void
begin(void)
{
	arena_init(&arena, 8u << 20);
}

static void
finish(void)
{
	arena_release(&arena);
}

TestSuite(seccomp, .init = begin, .fini = finish);

#ifdef __aarch64__
#define HERE "aarch64"
#else
#define HERE "x86_64"
#endif

/* Compiles a profile as the agent does. */
static void
compile(const Grpc__LinuxSeccomp *profile)
{
	struct error err = ERROR_INIT;

	REQUIRE_NE(profile, NULL);
	REQUIRE_OK(filter_validate(profile, &err), &err);
	REQUIRE_OK(filter_compile(profile, &filter, &err), &err);
}

static bool
allows(const char *call, uint64_t first, uint64_t second)
{
	const uint64_t args[2] = { first, second };
	int number = seccomp_syscall_resolve_name(call);

	REQUIRE_NE(number, __NR_SCMP_ERROR, "%s", call);
	return filter_allows(&filter, number, args);
}

static void
compile_default(const char *cap)
{
	const char *caps[] = { "CAP_CHOWN", cap };
	const struct seccomp_target target = { HERE, caps, cap ? 2 : 1 };

	compile(seccomp_default(&arena, &target));
}

Test(seccomp, default_profile_without_capabilities)
{
	static const char *const allowed[] = {
		"read",
		"openat",
		"execve",
		"mmap",
		"futex",
		"getrandom",
		"accept4",
		"ptrace",
		"statx",
		"prlimit64",
		"rseq",
		"clock_gettime",
		"setresuid",
		"io_setup",
		"pidfd_send_signal",
		"memfd_create",
		"mknodat",
		"capset",
		"seccomp",
		"name_to_handle_at",
		"process_vm_readv",
	};
	static const char *const denied[] = {
		"mount",
		"umount2",
		"unshare",
		"setns",
		"pivot_root",
		"bpf",
		"keyctl",
		"add_key",
		"request_key",
		"reboot",
		"kexec_load",
		"init_module",
		"chroot",
		"acct",
		"swapon",
		"settimeofday",
		"clock_settime",
		"syslog",
		"perf_event_open",
		"userfaultfd",
		"io_uring_setup",
		"io_uring_enter",
		"open_by_handle_at",
		"mbind",
		"move_pages",
		"fsopen",
		"open_tree",
		"quotactl",
		"sethostname",
		"vhangup",
		"kcmp",
		"pidfd_getfd",
		"clone3",
		"migrate_pages",
		"fanotify_init",
	};

	compile_default(NULL);
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		CHECK(allows(allowed[i], 0, 0), "%s", allowed[i]);
	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		CHECK(!allows(denied[i], 0, 0), "%s", denied[i]);
}

Test(seccomp, default_profile_by_arguments)
{
	static const struct {
		const char *call;
		uint64_t arg;
		bool allowed;
	} rows[] = {
		{ "personality", 0, true },
		{ "personality", 0x8, true },
		{ "personality", 0x20000, true },
		{ "personality", 0x20008, true },
		{ "personality", 0xffffffff, true },
		/* addresses that are not random */
		{ "personality", 0x40000, false },
		{ "personality", 0x1, false },
		{ "socket", AF_UNIX, true },
		{ "socket", AF_INET6, true },
		{ "socket", AF_NETLINK, true },
		{ "socket", 37, true },
		{ "socket", AF_ALG, false },
		{ "socket", AF_NFC, true },
		{ "socket", AF_VSOCK, false },
		{ "socket", AF_VSOCK + 1, true },
		/* fork, and a thread */
		{ "clone", 0x1200011, true },
		{ "clone", 0x3d0f00, true },
		/* namespaces: mount, cgroup, uts, ipc, user, pid, network */
		{ "clone", 0x20011, false },
		{ "clone", 0x2000011, false },
		{ "clone", 0x4000011, false },
		{ "clone", 0x8000011, false },
		{ "clone", 0x10000011, false },
		{ "clone", 0x20000011, false },
		{ "clone", 0x40000011, false },
	};

	compile_default(NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_EQ(allows(rows[i].call, rows[i].arg, 0), rows[i].allowed, "%s(%#llx)",
			 rows[i].call, (unsigned long long)rows[i].arg);
}

Test(seccomp, default_profile_by_capabilities)
{
	static const char *const rows[][2] = {
		{ "CAP_SYS_ADMIN", "mount umount2 unshare setns bpf clone3 fsopen move_mount "
				   "perf_event_open sethostname syslog quotactl fanotify_init" },
		{ "CAP_DAC_READ_SEARCH", "open_by_handle_at" },
		{ "CAP_SYS_BOOT", "reboot" },
		{ "CAP_SYS_CHROOT", "chroot" },
		{ "CAP_SYS_MODULE", "init_module finit_module delete_module" },
		{ "CAP_SYS_PACCT", "acct" },
		{ "CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise" },
		{ "CAP_SYS_TIME", "settimeofday clock_settime" },
		{ "CAP_SYS_TTY_CONFIG", "vhangup" },
		{ "CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy" },
		{ "CAP_SYSLOG", "syslog" },
		{ "CAP_BPF", "bpf" },
		{ "CAP_PERFMON", "perf_event_open" },
	};
	/* CLONE_NEWUSER */
	const uint64_t new_user = 0x10000011;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char calls[256], *rest = calls, *call;

		compile_default(rows[i][0]);
		(void)snprintf(calls, sizeof(calls), "%s", rows[i][1]);
		while ((call = strsep(&rest, " ")))
			CHECK(allows(call, 0, 0), "%s with %s", call, rows[i][0]);
		CHECK_EQ(allows("clone", new_user, 0), i == 0, "%s", rows[i][0]);
		CHECK_EQ(allows("mount", 0, 0), i == 0, "%s", rows[i][0]);
		CHECK(!allows("kexec_load", 0, 0) && !allows("keyctl", 0, 0), "%s", rows[i][0]);
	}
}

/* Returns the rule for a call, or NULL. */
static const Grpc__LinuxSyscall *
rule_for(const Grpc__LinuxSeccomp *p, const char *call)
{
	for (size_t i = 0; i < p->n_syscalls; i++)
		for (size_t k = 0; k < p->syscalls[i]->n_names; k++)
			if (strcmp(p->syscalls[i]->names[k], call) == 0)
				return p->syscalls[i];
	return NULL;
}

Test(seccomp, default_profile_by_architecture)
{
	static const struct {
		const char *arch, *first, *second, *own, *foreign;
	} rows[] = {
		{ "x86_64", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "arch_prctl", "set_tls" },
		{ "aarch64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "set_tls", "arch_prctl" },
		{ "s390x", "SCMP_ARCH_S390X", "SCMP_ARCH_S390", "s390_runtime_instr", "set_tls" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct seccomp_target target = { .arch = rows[i].arch };
		const Grpc__LinuxSeccomp *p = seccomp_default(&arena, &target);
		const Grpc__LinuxSyscall *clone;

		REQUIRE(p && p->n_architectures >= 2, "%s", rows[i].arch);
		CHECK_STR(p->defaultaction, "SCMP_ACT_ERRNO");
		CHECK_STR(p->architectures[0], rows[i].first);
		CHECK_STR(p->architectures[1], rows[i].second);
		CHECK(rule_for(p, rows[i].own), "%s", rows[i].own);
		CHECK(!rule_for(p, rows[i].foreign), "%s", rows[i].foreign);
		/* Its flags are another argument there. */
		clone = rule_for(p, "clone");
		REQUIRE(clone && clone->n_args == 1, "%s", rows[i].arch);
		CHECK_EQ(clone->args[0]->index, i == 2 ? 1 : 0, "%s", rows[i].arch);
		CHECK_EQ(rule_for(p, "clone3")->errnoret, 38);
	}
}

/* Docker's format, with each kind of condition. */
static const char docker[] =
	"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1,"
	" \"archMap\": [{\"architecture\": \"SCMP_ARCH_AARCH64\","
	"   \"subArchitectures\": [\"SCMP_ARCH_ARM\"]},"
	"  {\"architecture\": \"SCMP_ARCH_X86_64\","
	"   \"subArchitectures\": [\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]}],"
	" \"syscalls\": ["
	"  {\"names\": [\"read\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [],"
	"   \"comment\": \"\", \"includes\": {}, \"excludes\": {}},"
	"  {\"name\": \"getpid\", \"action\": \"SCMP_ACT_ALLOW\", \"args\": null},"
	"  {\"names\": [\"ptrace\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"includes\": {\"minKernel\": \"4.8\"}},"
	"  {\"names\": [\"acct\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"excludes\": {\"minKernel\": \"4.8\"}},"
	"  {\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},"
	"  {\"names\": [\"reboot\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\", \"CAP_SYS_BOOT\"]}},"
	"  {\"names\": [\"setns\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38,"
	"   \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},"
	"  {\"names\": [\"chroot\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"includes\": {\"arches\": [\"arm64\"]}},"
	"  {\"names\": [\"unshare\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"excludes\": {\"arches\": [\"s390x\", \"amd64\"]}},"
	"  {\"names\": [\"personality\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"args\": [{\"index\": 0, \"value\": 4294967295, \"op\": \"SCMP_CMP_EQ\"}]},"
	"  {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"args\": [{\"index\": 0, \"value\": 2114060288, \"valueTwo\": 0,"
	"    \"op\": \"SCMP_CMP_MASKED_EQ\"}]}]}";

Test(seccomp, file_in_the_format_of_docker)
{
	static const char *const admin[] = { "CAP_SYS_ADMIN" };
	/* the rules that are left, for x86_64 without and with the capability, and for aarch64 */
	static const struct {
		struct seccomp_target target;
		const char *calls, *missing;
	} rows[] = {
		{ { "x86_64", NULL, 0 },
		  "read write getpid ptrace setns personality clone",
		  "acct mount reboot chroot unshare" },
		{ { "x86_64", admin, 1 }, "read mount", "reboot setns chroot unshare" },
		{ { "aarch64", NULL, 0 }, "chroot unshare setns", "acct mount" },
	};
	struct error err = ERROR_INIT;
	Grpc__LinuxSeccomp *p;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned int k = 0; k < 2; k++) {
			char calls[128], *rest = calls, *call;

			REQUIRE_OK(seccomp_parse(&arena, docker, sizeof(docker) - 1,
						 &rows[i].target, &p, &err),
				   &err);
			REQUIRE_NE(p, NULL);
			(void)snprintf(calls, sizeof(calls), "%s",
				       k ? rows[i].missing : rows[i].calls);
			while ((call = strsep(&rest, " ")))
				CHECK_EQ(rule_for(p, call) != NULL, k == 0, "%zu: %s", i, call);
		}
		CHECK_EQ(p->n_architectures, i == 2 ? 2 : 3);
		CHECK_STR(p->architectures[0], i == 2 ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64");
	}
	CHECK_EQ(rule_for(p, "setns")->errnoret, 38);
	CHECK_EQ(rule_for(p, "personality")->args[0]->value, 0xffffffff);
	compile(p);
	CHECK(allows("read", 0, 0) && allows("clone", 0x11, 0));
	CHECK(!allows("clone", 0x20011, 0) && !allows("openat", 0, 0) && !allows("setns", 0, 0));
}

Test(seccomp, file_in_the_format_of_the_runtime_specification)
{
	static const char text[] =
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\","
		" \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_AARCH64\"],"
		" \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"],"
		" \"syscalls\": [{\"names\": [\"mkdir\", \"mkdirat\"],"
		"  \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 5}]}";
	const struct seccomp_target target = { .arch = HERE };
	struct error err = ERROR_INIT;
	Grpc__LinuxSeccomp *p;

	REQUIRE_OK(seccomp_parse(&arena, text, sizeof(text) - 1, &target, &p, &err), &err);
	CHECK_EQ(p->n_architectures, 2);
	CHECK_STR(p->flags[0], "SECCOMP_FILTER_FLAG_LOG");
	CHECK_EQ(rule_for(p, "mkdir")->errnoret, 5);
	compile(p);
	CHECK(!allows("mkdirat", 0, 0) && allows("openat", 0, 0));
	REQUIRE_OK(seccomp_parse(&arena, "{}", 2, &target, &p, &err), &err);
	CHECK_EQ(p, NULL, "no filter");
}

Test(seccomp, invalid_files)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "", "line 1: " },
		{ "[]", "a profile must be an object" },
		{ "{\"defaultAction\": 1}", "defaultAction: must be a string" },
		{ "{\"syscalls\": [{}]}", "defaultAction: missing" },
		{ "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38}",
		  "defaultErrnoRet: the agent's protocol has no errors other than 1 (EPERM)" },
		{ "{\"defaultAction\": \"a\", \"listenerPath\": \"/s\"}", "listenerPath: not" },
		{ "{\"defaultAction\": \"a\", \"architectures\": \"x\"}",
		  "architectures: must be a list of strings" },
		{ "{\"defaultAction\": \"a\", \"architectures\": [\"x\"], \"archMap\": [{}]}",
		  "archMap: architectures are given, too" },
		{ "{\"defaultAction\": \"a\", \"archMap\": [1]}", "archMap: must be a list" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": {}}", "syscalls: must be a list" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [1]}",
		  "syscalls[0]: must be an object" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"action\": \"b\"}]}",
		  "syscalls[0].names: missing" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"names\": [\"read\"]}]}",
		  "syscalls[0].action: missing" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"name\": \"a\", \"names\": [\"b\"], "
		  "\"action\": \"b\"}]}",
		  "syscalls[0]: has both name and names" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"names\": [1]}]}",
		  "syscalls[0]: names: must be a list of strings" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"name\": \"a\", \"action\": \"b\", "
		  "\"args\": [{\"index\": -1}]}]}",
		  "syscalls[0].args: index: must be a number" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"name\": \"a\", \"action\": \"b\", "
		  "\"errnoRet\": 4294967296}]}",
		  "syscalls[0].errnoRet: out of range" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"name\": \"a\", \"action\": \"b\", "
		  "\"includes\": {\"minKernel\": \"6.1\"}}]}",
		  "syscalls[0]: minKernel: not supported" },
		{ "{\"defaultAction\": \"a\", \"syscalls\": [{\"name\": \"a\", \"action\": \"b\", "
		  "\"excludes\": {\"minKernel\": \"5\"}}]}",
		  "syscalls[0]: minKernel: invalid version" },
		{ "{\"defaultAction\": \"a\", \"defaultAction\": \"b\"}", "duplicate" },
	};
	const struct seccomp_target target = { .arch = HERE };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		Grpc__LinuxSeccomp *p;

		REQUIRE_EQ(seccomp_parse(&arena, rows[i].text, strlen(rows[i].text), &target, &p,
					 &err),
			   -1, "%s", rows[i].text);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, rows[i].said, "%s", rows[i].text);
	}
}
