/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and validation of the keywords of a seccomp profile. Pure. Called by compile.c in
 * workers and, through filter_validate(), on the loop. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>

#include "agent/container/seccomp/rules.h"
#include "lib/cleanup.h"

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif
#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

/* The kernel's limit: it reduces larger values to this. */
#define ERRNO_MAX 4095

static const struct {
	const char *name;
	uint32_t value;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO },
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
	{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
};

static const struct {
	const char *name;
	enum filter_op op;
} ops[] = {
	{ "SCMP_CMP_EQ", FILTER_EQ }, { "SCMP_CMP_GE", FILTER_GE },
	{ "SCMP_CMP_GT", FILTER_GT }, { "SCMP_CMP_LE", FILTER_LE },
	{ "SCMP_CMP_LT", FILTER_LT }, { "SCMP_CMP_MASKED_EQ", FILTER_MASKED_EQ },
	{ "SCMP_CMP_NE", FILTER_NE },
};

static const struct {
	const char *name;
	uint32_t flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
};

/* Architectures of the runtime specification that an older libseccomp does not know. The agent
 * does not run on them, so a profile that lists them has no effect here. */
static const char *const foreign_archs[] = {
	"SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
	"SCMP_ARCH_RISCV64",     "SCMP_ARCH_SH",   "SCMP_ARCH_SHEB",
};

static int filter_check_action(const char *field, const char *name, uint32_t *action,
			       struct error *err);
static int filter_check_flag(const char *name, struct error *err);
static bool filter_arch_is_known(const char *name);
static int filter_check_call(const Grpc__LinuxSyscall *call, struct error *err);

bool
filter_action_parse(const char *name, uint32_t errno_ret, uint32_t *out)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*out = actions[i].value;
		/* With an errno of 0, a refused call would appear to succeed. */
		if (*out == SECCOMP_RET_ERRNO || *out == SECCOMP_RET_TRACE)
			*out |= errno_ret ? errno_ret & SECCOMP_RET_DATA : EPERM;
		return true;
	}
	return false;
}

bool
filter_op_parse(const char *name, enum filter_op *out)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (strcmp(ops[i].name, name) == 0) {
			*out = ops[i].op;
			return true;
		}
	}
	return false;
}

bool
filter_flag_parse(const char *name, uint32_t *out)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(flags[i].name, name) == 0) {
			*out |= flags[i].flag;
			return true;
		}
	}
	return false;
}

uint32_t
filter_arch_parse(const char *name)
{
	char text[32];
	size_t len;

	if (strncmp(name, "SCMP_ARCH_", 10) != 0)
		return 0;
	name += 10;
	if (strcmp(name, "NATIVE") == 0)
		return seccomp_arch_native();
	len = strlen(name);
	if (len >= sizeof(text))
		return 0;
	for (size_t i = 0; i <= len; i++)
		text[i] = (char)tolower((unsigned char)name[i]);
	return seccomp_arch_resolve_name(text);
}

uint32_t
filter_errno_of(const Grpc__LinuxSyscall *call)
{
	return call->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET ? call->errnoret : 0;
}

int
filter_validate(const Grpc__LinuxSeccomp *profile, struct error *err)
{
	uint32_t action;

	if (filter_check_action("linux.seccomp.defaultAction", profile->defaultaction, &action,
				err) < 0)
		return -1;
	for (size_t i = 0; i < profile->n_flags; i++) {
		if (filter_check_flag(profile->flags[i], err) < 0)
			return -1;
	}
	if (profile->n_architectures > FILTER_ARCHS_MAX - 1)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.seccomp.architectures: more than %d", FILTER_ARCHS_MAX - 1);
	for (size_t i = 0; i < profile->n_architectures; i++) {
		if (!filter_arch_is_known(profile->architectures[i]))
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"linux.seccomp.architectures: unknown architecture \"%.40s\"",
				profile->architectures[i]);
	}
	for (size_t i = 0; i < profile->n_syscalls; i++) {
		if (filter_check_call(profile->syscalls[i], err) < 0)
			return -1;
	}
	return 0;
}

static int
filter_check_action(const char *field, const char *name, uint32_t *action, struct error *err)
{
	if (filter_action_parse(name, 0, action))
		return 0;
	if (strcmp(name, "SCMP_ACT_NOTIFY") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s: SCMP_ACT_NOTIFY is not supported: there is no seccomp agent "
				 "in the guest",
				 field);
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s: unknown action \"%.40s\"", field, name);
}

static int
filter_check_flag(const char *name, struct error *err)
{
	uint32_t value = 0;

	if (filter_flag_parse(name, &value))
		return 0;
	if (strcmp(name, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") == 0 ||
	    strcmp(name, "SECCOMP_FILTER_FLAG_NEW_LISTENER") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.seccomp.flags: %s is not supported: it belongs to "
				 "SCMP_ACT_NOTIFY",
				 name);
	return error_set(err, ERROR_INVALID_ARGUMENT, "linux.seccomp.flags: unknown flag \"%.40s\"",
			 name);
}

static bool
filter_arch_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign_archs); i++) {
		if (strcmp(foreign_archs[i], name) == 0)
			return true;
	}
	return filter_arch_parse(name) != 0;
}

static int
filter_check_call(const Grpc__LinuxSyscall *call, struct error *err)
{
	uint32_t action, number = filter_errno_of(call);
	enum filter_op op;

	if (filter_check_action("linux.seccomp.syscalls.action", call->action, &action, err) < 0)
		return -1;
	/* For SCMP_ACT_TRACE the value is data for the tracer: any 16 bits. */
	if (number > SECCOMP_RET_DATA ||
	    (number > ERRNO_MAX && (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.seccomp.syscalls.errnoRet: %u is out of range", number);
	if (!call->n_names)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.seccomp.syscalls.names: missing");
	for (size_t i = 0; i < call->n_args; i++) {
		if (call->args[i]->index >= FILTER_ARGS_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.seccomp.syscalls.args.index: %" PRIu64
					 " is out of range",
					 call->args[i]->index);
		if (!filter_op_parse(call->args[i]->op, &op))
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"linux.seccomp.syscalls.args.op: unknown operator \"%.40s\"",
				call->args[i]->op);
	}
	return 0;
}
