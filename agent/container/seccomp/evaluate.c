/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of a compiled filter for one system call. Pure. */
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>

#include "agent/container/seccomp/filter.h"

/* Returns the word at `offset`. bpf.c loads nothing but words. */
static uint32_t
evaluate_load(const struct seccomp_data *call, uint32_t offset)
{
	uint32_t word = 0;

	if (offset <= sizeof(*call) - sizeof(word))
		memcpy(&word, (const char *)call + offset, sizeof(word));
	return word;
}

/* Returns the program's verdict. An instruction that bpf.c does not emit means the most
 * restrictive one. */
static uint32_t
evaluate_run(const struct filter *f, const struct seccomp_data *call)
{
	uint32_t a = 0;

	for (uint32_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->insns[pc];
		bool jump;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = evaluate_load(call, i->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= i->k;
			break;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
		pc += jump ? i->jt : i->jf;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static uint32_t
evaluate_verdict(const struct filter *f, long number, const uint64_t args[2])
{
	struct seccomp_data call = { .nr = (int)number, .arch = seccomp_arch_native() };

	call.args[0] = args[0];
	call.args[1] = args[1];
	return evaluate_run(f, &call) & SECCOMP_RET_ACTION_FULL;
}

bool
filter_survives(const struct filter *f, long number)
{
	static const uint64_t none[2];
	uint32_t action = evaluate_verdict(f, number, none);

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ||
	       action == SECCOMP_RET_ERRNO;
}

bool
filter_allows(const struct filter *f, long number, const uint64_t args[2])
{
	uint32_t action = evaluate_verdict(f, number, args);

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
