/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp profile (grpc.LinuxSeccomp). An accepted profile compiles or is too large; the program
 * terminates and gives the same answers as the rules applied one by one.
 */
#include <errno.h>
#include <seccomp.h>
#include <string.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "agent/container/seccomp/filter.h"
#include "agent/container/seccomp/rules.h"
#include "lib/cleanup.h"
#include "lib/pbcheck.h"
#include "tests/fuzz/pbmutate.h"
#include "tests/fuzz/target.h"

/* Runs the program (Documentation/networking/filter.rst), with the checks of the kernel's
 * bpf_check_classic(). */
static uint32_t
run(const struct filter *f, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (uint32_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->insns[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			MUST(i->k <= sizeof(*data) - 4 && i->k % 4 == 0);
			memcpy(&a, (const char *)data + i->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			MUST(i->k < f->n - pc - 1);
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			MUST(!"an instruction that the compiler does not use");
		}
		pc += yes ? i->jt : i->jf;
	}
	MUST(!"the program runs past its end");
	return 0;
}

static bool
holds(const Grpc__LinuxSeccompArg *a, const struct seccomp_data *data)
{
	uint64_t v = data->args[a->index];
	enum filter_op op;

	MUST(filter_op_parse(a->op, &op));
	switch (op) {
	case FILTER_NE:
		return v != a->value;
	case FILTER_LT:
		return v < a->value;
	case FILTER_LE:
		return v <= a->value;
	case FILTER_EQ:
		return v == a->value;
	case FILTER_GE:
		return v >= a->value;
	case FILTER_GT:
		return v > a->value;
	case FILTER_MASKED_EQ:
		return (v & a->value) == (a->valuetwo & a->value);
	}
	return false;
}

static bool
repeats(const Grpc__LinuxSyscall *call)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < call->n_args; i++) {
		if (seen >> call->args[i]->index & 1)
			return true;
		seen |= 1u << call->args[i]->index;
	}
	return false;
}

static bool
matches(const Grpc__LinuxSyscall *call, const struct seccomp_data *data)
{
	size_t n = 0;

	for (size_t i = 0; i < call->n_args; i++)
		n += holds(call->args[i], data);
	return repeats(call) ? n > 0 : n == call->n_args;
}

static bool
names(const Grpc__LinuxSyscall *call, int nr)
{
	for (size_t i = 0; i < call->n_names; i++)
		if (seccomp_syscall_resolve_name_arch(seccomp_arch_native(), call->names[i]) == nr)
			return true;
	return false;
}

/* Applies the rules to a call of the native architecture: a rule without conditions takes
 * precedence, then the first match. Stores in *is_named whether any rule names the call. */
static uint32_t
expected(const Grpc__LinuxSeccomp *p, uint32_t otherwise, const struct seccomp_data *data,
	 bool *is_named)
{
	*is_named = false;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < p->n_syscalls; i++) {
			const Grpc__LinuxSyscall *call = p->syscalls[i];
			uint32_t action;

			if ((call->n_args == 0) != (pass == 0) || !names(call, data->nr))
				continue;
			*is_named = true;
			MUST(filter_action_parse(call->action, filter_errno_of(call), &action));
			if (action != otherwise && matches(call, data))
				return action;
		}
	}
	return otherwise;
}

static void
compare(const Grpc__LinuxSeccomp *p, const struct filter *f, const struct seccomp_data *data)
{
	uint32_t otherwise, answer = run(f, data), want;
	bool is_named;

	MUST(filter_action_parse(p->defaultaction, 0, &otherwise));
	want = expected(p, otherwise, data, &is_named);
	/* A call newer than the profile may fail with ENOSYS. */
	MUST(answer == want || (!is_named && answer == (SECCOMP_RET_ERRNO | ENOSYS)));
}

/* Tries the call of each rule with arguments equal and adjacent to its values. */
static void
compare_rule(const Grpc__LinuxSeccomp *p, const struct filter *f, const Grpc__LinuxSyscall *call)
{
	struct seccomp_data data = { .arch = seccomp_arch_native() };

	for (size_t i = 0; i < call->n_names && i < 4; i++) {
		data.nr = seccomp_syscall_resolve_name_arch(data.arch, call->names[i]);
		if (data.nr < 0)
			continue;
		for (int off = -1; off <= 1; off++) {
			memset(data.args, 0, sizeof(data.args));
			for (size_t a = 0; a < call->n_args; a++)
				data.args[call->args[a]->index] =
					call->args[a]->value + (uint64_t)(int64_t)off;
			compare(p, f, &data);
			for (size_t a = 0; a < call->n_args; a++)
				data.args[call->args[a]->index] = call->args[a]->valuetwo;
			compare(p, f, &data);
		}
	}
}

static void
check_program(const Grpc__LinuxSeccomp *p, const struct filter *f)
{
	static const int others[] = { 0, 59, 434, 467, 0x3fffffff, -1 };
	struct seccomp_data data = { .arch = seccomp_arch_native() };

	MUST(f->n > 0 && f->n <= FILTER_MAX);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		data.nr = others[i];
		if (others[i] >= 0)
			compare(p, f, &data);
		else
			(void)run(f, &data);
	}
	for (size_t i = 0; i < p->n_syscalls && i < 32; i++)
		compare_rule(p, f, p->syscalls[i]);
	data.arch = 0x12345678;
	MUST(run(f, &data) == SECCOMP_RET_KILL);
	data.arch = AUDIT_ARCH_I386;
	(void)run(f, &data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	static struct filter filter;
	struct error err = ERROR_INIT;
	Grpc__LinuxSeccomp *p = (Grpc__LinuxSeccomp *)pbcheck_unpack(
		&grpc__linux_seccomp__descriptor, data, size, &limits, NULL, &err);

	if (!p)
		return 0;
	if (filter_validate(p, &err) < 0)
		MUST(err.code == ERROR_INVALID_ARGUMENT && *err.msg);
	else if (filter_compile(p, &filter, &err) < 0)
		MUST(*err.msg);
	else
		check_program(p, &filter);
	grpc__linux_seccomp__free_unpacked(p, NULL);
	return 0;
}

PB_MUTATOR(&grpc__linux_seccomp__descriptor)
