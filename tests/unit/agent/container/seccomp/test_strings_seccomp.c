/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of seccomp profiles: every spelling that a client may send. See test_strings.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>

#include "agent/container/seccomp/rules.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(strings_seccomp, .fini = spec_release_all);

/* Expects that the profile is valid, or refused with a text that names `says`. */
static void
expect_profile(const Grpc__LinuxSeccomp *p, const char *says)
{
	struct error err = ERROR_INIT;

	CHECK_EQ(filter_validate(p, &err), says ? -1 : 0, "%s: %s", says ? says : "valid", err.msg);
	if (says) {
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", err.msg);
		CHECK_HAS(err.msg, says, "\"%s\" is not in \"%s\"", says, err.msg);
	}
}

static uint32_t
action_of(const char *name, uint32_t number)
{
	uint32_t action = 0;

	CHECK(filter_action_parse(name, number, &action), "%s", name);
	return action;
}

Test(strings_seccomp, actions)
{
	static const struct {
		const char *name;
		uint32_t action;
	} rows[] = {
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL },
		{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
		{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(5) },
		{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(5) },
		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	};
	Grpc__LinuxSeccomp *p;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_EQ(action_of(rows[i].name, 5), rows[i].action, "%s", rows[i].name);
	p = spec_seccomp("SCMP_ACT_NOTIFY");
	expect_profile(p, "SCMP_ACT_NOTIFY");
}

/* The Rust runtime always sends the field, 0 if the profile has none. A call that is refused
 * must not succeed. */
Test(strings_seccomp, errno_return_unset)
{
	Grpc__LinuxSyscall call = GRPC__LINUX_SYSCALL__INIT;

	CHECK_EQ(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(EPERM));
	call.errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	call.errnoret = 0;
	CHECK_EQ(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(EPERM));
	CHECK_EQ(action_of("SCMP_ACT_TRACE", filter_errno_of(&call)), SCMP_ACT_TRACE(EPERM));
	call.errnoret = ENOSYS;
	CHECK_EQ(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(ENOSYS));
}

Test(strings_seccomp, operators)
{
	static const struct {
		const char *name;
		enum filter_op op;
	} rows[] = {
		{ "SCMP_CMP_NE", FILTER_NE },
		{ "SCMP_CMP_LT", FILTER_LT },
		{ "SCMP_CMP_LE", FILTER_LE },
		{ "SCMP_CMP_EQ", FILTER_EQ },
		{ "SCMP_CMP_GE", FILTER_GE },
		{ "SCMP_CMP_GT", FILTER_GT },
		{ "SCMP_CMP_MASKED_EQ", FILTER_MASKED_EQ },
	};
	enum filter_op op;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(filter_op_parse(rows[i].name, &op) && op == rows[i].op, "%s", rows[i].name);
	CHECK(!filter_op_parse("EQ", &op));
}

Test(strings_seccomp, architectures)
{
	static const struct {
		const char *name;
		/* 0: of machines that we do not run on, and libseccomp may not know */
		uint32_t token;
	} rows[] = {
		{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
		{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
		{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
		{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
		{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
		{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
		{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
		{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
		{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
		{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
		{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
		{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
		{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
		{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
		{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
		{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
		{ "SCMP_ARCH_PARISC", 0 },
		{ "SCMP_ARCH_PARISC64", 0 },
		{ "SCMP_ARCH_RISCV64", 0 },
		{ "SCMP_ARCH_LOONGARCH64", 0 },
		{ "SCMP_ARCH_M68K", 0 },
		{ "SCMP_ARCH_SH", 0 },
		{ "SCMP_ARCH_SHEB", 0 },
	};
	Grpc__LinuxSeccomp *p;

	CHECK_EQ(filter_arch_parse("SCMP_ARCH_NATIVE"), seccomp_arch_native());
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].token)
			CHECK_EQ(filter_arch_parse(rows[i].name), rows[i].token, "%s",
				 rows[i].name);
		p = spec_seccomp("SCMP_ACT_ALLOW");
		p->architectures =
			spec_names(&p->n_architectures, rows[i].name, "SCMP_ARCH_NATIVE", NULL);
		expect_profile(p, NULL);
	}
}

Test(strings_seccomp, flags)
{
	static const struct {
		const char *name;
		const char *says;
	} rows[] = {
		{ "SECCOMP_FILTER_FLAG_LOG", NULL },
		{ "SECCOMP_FILTER_FLAG_TSYNC", NULL },
		{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL },
		{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SCMP_ACT_NOTIFY" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__LinuxSeccomp *p;

		p = spec_seccomp("SCMP_ACT_ALLOW");
		p->flags = spec_names(&p->n_flags, rows[i].name, NULL);
		expect_profile(p, rows[i].says);
	}
}
