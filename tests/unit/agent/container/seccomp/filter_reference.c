/* SPDX-License-Identifier: Apache-2.0 */
/* See filter_reference.h. */
#include "tests/unit/agent/container/seccomp/filter_reference.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/spec.h"

uint32_t
reference_answer(const struct sock_filter *insns, size_t n, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &insns[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			REQUIRE_LE(i->k, sizeof(*data) - 4);
			memcpy(&a, (const char *)data + i->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
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
			REQUIRE(false, "instruction %#x at %zu", i->code, pc);
		}
		pc += yes ? i->jt : i->jf;
	}
	REQUIRE(false, "the program runs out");
	return 0;
}

uint32_t
reference_expects(const struct reference *r, const struct seccomp_data *data)
{
	uint32_t nr = (uint32_t)data->nr, bit = nr & 0x40000000;

	for (size_t i = 0; i < r->n_newest; i++) {
		uint32_t token = r->newest[i].token;

		/* x32 is x86_64 with a bit in the number */
		if (token == SCMP_ARCH_X32
			    ? data->arch != SCMP_ARCH_X86_64 || !bit
			    : data->arch != token || (token == SCMP_ARCH_X86_64 && bit))
			continue;
		if (r->newest[i].newest && nr > r->newest[i].newest)
			return SECCOMP_RET_ERRNO | ENOSYS;
	}
	return reference_answer(r->insns, r->n, data);
}

/* Numbers of system calls in the kernel's tables end somewhere below. */
#define REFERENCE_CALLS 480

/* The number of a call; 0 if the ABI does not have it. Those that i386 multiplexes have one of
 * their own in its table, too, which libseccomp finds only by the number. */
static uint32_t
number_of(uint32_t token, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(token, name);

	for (int direct = 0; nr <= -100 && direct < REFERENCE_CALLS; direct++) {
		char *found = seccomp_syscall_resolve_num_arch(token, direct);
		bool same = found && strcmp(found, name) == 0;

		free(found);
		if (same)
			return (uint32_t)direct;
	}
	if (nr <= -100)
		nr = seccomp_syscall_resolve_name_rewrite(token, name);
	return nr > 0 ? (uint32_t)nr : 0;
}

/* The highest number of an ABI among the names of all rows that reference_ours() takes. */
static uint32_t
newest_of(uint32_t token, const struct rule_row *rows, size_t n)
{
	uint32_t newest = 0;

	for (size_t i = 0; i < n; i++) {
		char *list = strdup(rows[i].refused ? "" : rows[i].names), *rest = list, *name;

		while ((name = strsep(&rest, ","))) {
			uint32_t nr = number_of(token, name);

			newest = nr > newest ? nr : newest;
		}
		free(list);
	}
	return newest;
}

static void
find_newest(const char *default_action, const uint32_t *archs, size_t n_archs,
	    const struct rule_row *rows, size_t n, struct reference *out)
{
	static const char *const permissive[] = { "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",
						  "SCMP_ACT_TRACE" };
	uint32_t native = seccomp_arch_native();

	out->n_newest = 0;
	for (size_t i = 0; i < ARRAY_LEN(permissive); i++) {
		if (strcmp(permissive[i], default_action) == 0)
			return;
	}
	for (size_t i = 0; i <= n_archs; i++) {
		uint32_t token = i ? archs[i - 1] : native;

		if (i && token == native)
			continue;
		REQUIRE_LT(out->n_newest, REFERENCE_ARCHS_MAX);
		out->newest[out->n_newest].token = token;
		out->newest[out->n_newest++].newest = newest_of(token, rows, n);
	}
}

static enum scmp_compare
op_of(const char *name)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} rows[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE },
		{ "SCMP_CMP_LT", SCMP_CMP_LT },
		{ "SCMP_CMP_LE", SCMP_CMP_LE },
		{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE },
		{ "SCMP_CMP_GT", SCMP_CMP_GT },
		{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].op;
	}
	abort();
}

uint32_t
reference_action(const char *name, uint32_t number)
{
	const struct {
		const char *name;
		uint32_t action;
	} rows[] = {
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
		{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(number ? number : EPERM) },
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
		{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
		{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(number ? number : EPERM) },
		{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].action;
	}
	abort();
}

/* Conditions on one argument are alternatives: a rule each. */
static bool
repeats_an_argument(const struct rule_row *row)
{
	unsigned int seen = 0;

	for (int i = 0; i < row->n_args; i++) {
		if (seen >> row->args[i].index & 1)
			return true;
		seen |= 1u << row->args[i].index;
	}
	return false;
}

static bool
add_one(scmp_filter_ctx ctx, const struct rule_row *row, int nr)
{
	struct scmp_arg_cmp args[RULE_ARGS_MAX];
	uint32_t action = reference_action(row->action, row->number);
	int result = 0;

	for (int i = 0; i < row->n_args; i++)
		args[i] = (struct scmp_arg_cmp){
			.arg = (unsigned int)row->args[i].index,
			.op = op_of(row->args[i].op),
			.datum_a = row->args[i].value,
			.datum_b = row->args[i].value_two,
		};
	if (!repeats_an_argument(row))
		return seccomp_rule_add_array(ctx, action, nr, (unsigned int)row->n_args, args) ==
		       0;
	for (int i = 0; i < row->n_args && result == 0; i++)
		result = seccomp_rule_add_array(ctx, action, nr, 1, &args[i]);
	return result == 0;
}

static bool
add_row(scmp_filter_ctx ctx, const struct rule_row *row)
{
	char *list = strdup(row->names), *rest = list, *name;
	bool taken = true;

	while (taken && (name = strsep(&rest, ","))) {
		int nr = seccomp_syscall_resolve_name(name);

		if (nr != __NR_SCMP_ERROR)
			taken = add_one(ctx, row, nr);
	}
	free(list);
	return taken;
}

bool
reference_make(const char *default_action, const uint32_t *archs, size_t n_archs,
	       struct rule_row *rows, size_t n, struct reference *out)
{
	scmp_filter_ctx ctx = seccomp_init(reference_action(default_action, 0));
	auto_close int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t size = 0;

	REQUIRE(ctx && fd >= 0);
	for (size_t i = 0; i < n_archs; i++) {
		int r = seccomp_arch_add(ctx, archs[i]);

		REQUIRE(r == 0 || r == -EEXIST);
	}
	for (size_t i = 0; i < n; i++) {
		/* those with the default's action are refused, and left out everywhere */
		if (reference_action(rows[i].action, rows[i].number) !=
		    reference_action(default_action, 0))
			rows[i].refused = !add_row(ctx, &rows[i]);
	}
	if (seccomp_export_bpf(ctx, fd) == 0)
		size = pread(fd, out->insns, sizeof(out->insns), 0);
	out->n = size > 0 ? (size_t)size / sizeof(out->insns[0]) : 0;
	seccomp_release(ctx);
	find_newest(default_action, archs, n_archs, rows, n, out);
	return out->n > 0 && out->n < FILTER_MAX;
}

void
reference_ours(const char *default_action, const char *const *archs, const struct rule_row *rows,
	       size_t n, struct filter *out)
{
	Grpc__LinuxSeccomp *p = spec_seccomp(default_action);
	struct error err = ERROR_INIT;

	p->architectures = (char **)(uintptr_t)archs;
	for (p->n_architectures = 0; archs[p->n_architectures];)
		p->n_architectures++;
	for (size_t i = 0; i < n; i++) {
		Grpc__LinuxSyscall *rule;

		if (rows[i].refused)
			continue;
		rule = spec_seccomp_rule(p, rows[i].action, rows[i].names);
		if (rows[i].number) {
			rule->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
			rule->errnoret = rows[i].number;
		}
		for (int a = 0; a < rows[i].n_args; a++)
			spec_seccomp_arg(rule, rows[i].args[a].index, rows[i].args[a].op,
					 rows[i].args[a].value, rows[i].args[a].value_two);
	}
	REQUIRE_OK(filter_validate(p, &err), &err);
	REQUIRE_OK(filter_compile(p, out, &err), &err);
}
