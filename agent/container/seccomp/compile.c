/* SPDX-License-Identifier: Apache-2.0 */
/* Translates a spec's seccomp profile into rules for bpf.c, and loads the result. The worker
 * compiles, the new process loads. */
#include "agent/container/seccomp/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/seccomp/rules.h"
#include "lib/arena.h"
#include "lib/cleanup.h"

#define X32_BIT UINT32_C(0x40000000)
/* __AUDIT_ARCH_64BIT, linux/audit.h */
#define ARCH_64BIT UINT32_C(0x80000000)

/* Memory limit for the conditions of one compilation. */
#define MEMORY_MAX (16u << 20)

/* State of adding the profile's entries to one architecture. */
struct adding {
	struct arena *arena;
	struct filter_arch *arch;
	/* libseccomp's token; x32 shares the arch of x86_64. */
	uint32_t token;
	/* The highest number that the profile has named so far. */
	uint32_t newest;
	/* The current rule permits more than the default action. */
	bool permits;
	/* The current rule repeats the default action: only its numbers are noted. */
	bool repeats;
	/* Calls newer than the profile fail with ENOSYS. */
	bool enosys;
};

static int compile_collect(const Grpc__LinuxSeccomp *profile, uint32_t otherwise,
			   struct arena *arena, struct filter_arch *archs, size_t *n,
			   struct error *err);
static int compile_add_call(struct adding *to, const Grpc__LinuxSyscall *call, uint32_t otherwise,
			    struct error *err);
static int compile_add_named(struct adding *to, const char *name, const struct filter_rule *model,
			     struct error *err);
static int compile_add_multiplexed(struct adding *to, struct filter_rule rule, int pseudo,
				   struct error *err);
static uint32_t compile_x86_direct(int pseudo);
static int compile_sort_rules(struct filter_arch *arch, struct error *err);

int
filter_compile(const Grpc__LinuxSeccomp *profile, struct filter *out, struct error *err)
{
	struct filter_arch archs[FILTER_ARCHS_MAX];
	struct arena arena;
	uint32_t otherwise = 0;
	size_t n = 0;
	int result;

	out->flags = 0;
	out->n = 0;
	(void)filter_action_parse(profile->defaultaction, 0, &otherwise);
	for (size_t i = 0; i < profile->n_flags; i++)
		(void)filter_flag_parse(profile->flags[i], &out->flags);
	arena_init(&arena, MEMORY_MAX);
	result = compile_collect(profile, otherwise, &arena, archs, &n, err);
	if (result == 0)
		result = filter_generate(archs, n, otherwise, SECCOMP_RET_KILL, out, err);
	for (size_t i = 0; i < n; i++)
		free(archs[i].rules);
	arena_release(&arena);
	return result;
}

/* Returns whether the default action lets a call through. A tracer is expected to handle calls
 * that it does not know. */
static bool
compile_is_permissive(uint32_t otherwise)
{
	uint32_t action = otherwise & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ||
	       action == SECCOMP_RET_TRACE;
}

/* Returns the architecture that holds a token's rules. x32 is x86_64 with a bit set in the
 * number. */
static struct filter_arch *
compile_arch_of(struct filter_arch *archs, size_t *n, uint32_t token)
{
	uint32_t value = token == SCMP_ARCH_X32 ? SCMP_ARCH_X86_64 : token;
	size_t i;

	for (i = 0; i < *n && archs[i].token != value; i++)
		;
	if (i == *n)
		archs[(*n)++] = (struct filter_arch){ .token = value };
	return &archs[i];
}

/* Marks the calls of one ABI above the highest number in the profile: they did not exist when
 * the profile was written. As with runc, they fail with ENOSYS instead of the default action,
 * because programs fall back to older calls on ENOSYS, while EPERM is a refusal to them. */
static void
compile_mark_newer(struct filter_arch *arch, uint32_t token, uint32_t newest)
{
	struct filter_newer newer = {
		.first = newest + 1,
		.end = token == SCMP_ARCH_X86_64 ? X32_BIT : 0,
	};
	size_t at = arch->n_newer;

	if (!newest || at == FILTER_NEWER_MAX)
		return;
	if (at > 0 && arch->newer[at - 1].first > newer.first) {
		arch->newer[at] = arch->newer[at - 1];
		at--;
	}
	arch->newer[at] = newer;
	arch->n_newer++;
}

static int
compile_collect(const Grpc__LinuxSeccomp *profile, uint32_t otherwise, struct arena *arena,
		struct filter_arch *archs, size_t *n, struct error *err)
{
	uint32_t tokens[FILTER_ARCHS_MAX] = { seccomp_arch_native() };
	size_t n_tokens = 1;
	bool x32 = false;

	for (size_t i = 0; i < profile->n_architectures; i++) {
		uint32_t token = filter_arch_parse(profile->architectures[i]);
		size_t t;

		for (t = 0; t < n_tokens && tokens[t] != token; t++)
			;
		if (token && t == n_tokens && n_tokens < FILTER_ARCHS_MAX)
			tokens[n_tokens++] = token;
	}
	for (size_t t = 0; t < n_tokens; t++) {
		struct adding to = {
			.arena = arena,
			.token = tokens[t],
			.enosys = !compile_is_permissive(otherwise),
		};

		to.arch = compile_arch_of(archs, n, tokens[t]);
		x32 |= tokens[t] == SCMP_ARCH_X32;
		for (size_t i = 0; i < profile->n_syscalls; i++) {
			if (compile_add_call(&to, profile->syscalls[i], otherwise, err) < 0)
				return -1;
		}
		if (to.enosys)
			compile_mark_newer(to.arch, tokens[t], to.newest);
	}
	for (size_t i = 0; i < *n; i++) {
		if (compile_sort_rules(&archs[i], err) < 0)
			return -1;
		if (archs[i].token == SCMP_ARCH_X86_64 && !x32)
			archs[i].limit = X32_BIT;
	}
	return 0;
}

/* Returns whether two conditions concern the same argument, which makes them alternatives. */
static bool
compile_has_alternatives(const Grpc__LinuxSyscall *call)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < call->n_args; i++) {
		if (seen >> call->args[i]->index & 1)
			return true;
		seen |= 1u << call->args[i]->index;
	}
	return false;
}

/* Translates the conditions of an entry; the result is in the arena. */
static struct filter_arg *
compile_make_args(const struct adding *to, const Grpc__LinuxSyscall *call)
{
	struct filter_arg *args = arena_zalloc(to->arena, call->n_args + 1, sizeof(*args));

	for (size_t i = 0; args && i < call->n_args; i++) {
		const Grpc__LinuxSeccompArg *a = call->args[i];

		args[i].index = (uint32_t)a->index;
		args[i].narrow = !(to->token & ARCH_64BIT);
		args[i].value = a->value;
		args[i].value_two = a->valuetwo;
		(void)filter_op_parse(a->op, &args[i].op);
	}
	return args;
}

/* Adds one entry of the profile. */
static int
compile_add_call(struct adding *to, const Grpc__LinuxSyscall *call, uint32_t otherwise,
		 struct error *err)
{
	bool alternatives = compile_has_alternatives(call);
	struct filter_rule model = { .n_args = (uint32_t)call->n_args };

	(void)filter_action_parse(call->action, filter_errno_of(call), &model.action);
	to->repeats = model.action == otherwise;
	if (to->repeats && !to->enosys)
		return 0;
	model.args = compile_make_args(to, call);
	if (!model.args)
		return error_nomem(err, "compiling a seccomp profile");
	/* The kernel orders actions by their signed value, the most restrictive first. */
	to->permits = (int32_t)(model.action & SECCOMP_RET_ACTION_FULL) >
		      (int32_t)(otherwise & SECCOMP_RET_ACTION_FULL);
	for (size_t i = 0; i < call->n_names; i++) {
		if (!alternatives && compile_add_named(to, call->names[i], &model, err) < 0)
			return -1;
		for (size_t a = 0; alternatives && a < call->n_args; a++) {
			struct filter_rule one = model;

			one.args = &model.args[a];
			one.n_args = 1;
			if (compile_add_named(to, call->names[i], &one, err) < 0)
				return -1;
		}
	}
	return 0;
}

static void
compile_note_number(struct adding *to, uint32_t nr)
{
	if (nr > to->newest)
		to->newest = nr;
}

static int
compile_add_rule(struct filter_arch *arch, const struct filter_rule *rule, struct error *err)
{
	if (arch->n_rules == arch->size) {
		size_t size = arch->size ? 2 * arch->size : 512;
		struct filter_rule *rules = realloc(arch->rules, size * sizeof(*rules));

		if (!rules)
			return error_nomem(err, "compiling a seccomp profile");
		arch->rules = rules;
		arch->size = size;
	}
	arch->rules[arch->n_rules++] = *rule;
	return 0;
}

/* Adds one rule for the system call `name`. */
static int
compile_add_named(struct adding *to, const char *name, const struct filter_rule *model,
		  struct error *err)
{
	int nr = seccomp_syscall_resolve_name_arch(to->token, name);
	struct filter_rule rule = *model;

	if (nr >= 0) {
		rule.nr = (uint32_t)nr;
		compile_note_number(to, rule.nr);
		return to->repeats ? 0 : compile_add_rule(to->arch, &rule, err);
	}
	if (to->token == SCMP_ARCH_X86 && nr <= -100 && nr > -300)
		return compile_add_multiplexed(to, rule, nr, err);
	/* The call is unknown, or does not exist on this architecture. */
	return 0;
}

/* The i386 calls socketcall(2) and ipc(2) multiplex calls that have their own numbers on other
 * architectures and, in newer kernels, on i386 as well. libseccomp numbers them -100 - call and
 * -200 - call. */
#define X86_SOCKETCALL 102
#define X86_IPC        117

/* Adds a multiplexed call of i386 twice: by its direct number, and as a first argument of the
 * multiplexer. */
static int
compile_add_multiplexed(struct adding *to, struct filter_rule rule, int pseudo, struct error *err)
{
	bool is_socket = pseudo > -200;
	struct filter_arg *arg;

	rule.nr = compile_x86_direct(pseudo);
	compile_note_number(to, rule.nr);
	compile_note_number(to, is_socket ? X86_SOCKETCALL : X86_IPC);
	if (to->repeats)
		return 0;
	if (rule.nr && compile_add_rule(to->arch, &rule, err) < 0)
		return -1;
	/* The arguments of a multiplexed call are in memory, out of a filter's reach, so
	 * conditions cannot be checked. A permitting rule with conditions is left out; a
	 * forbidding one applies to all calls. */
	if (rule.n_args && to->permits)
		return 0;
	arg = arena_alloc(to->arena, sizeof(*arg));
	if (!arg)
		return error_nomem(err, "compiling a seccomp profile");
	*arg = (struct filter_arg){
		.index = 0,
		.narrow = true,
		.op = FILTER_MASKED_EQ,
		/* The upper half of ipc(2)'s argument is a version. */
		.value = is_socket ? UINT32_MAX : 0xffff,
		.value_two = (uint64_t)(is_socket ? -100 - pseudo : -200 - pseudo),
	};
	rule.nr = is_socket ? X86_SOCKETCALL : X86_IPC;
	rule.n_args = 1;
	rule.args = arg;
	return compile_add_rule(to->arch, &rule, err);
}

/* Returns the direct number of a multiplexed call on i386
 * (arch/x86/entry/syscalls/syscall_32.tbl), or 0. */
static uint32_t
compile_x86_direct(int pseudo)
{
	static const uint16_t socket_calls[] = {
		0,   359, 361, 362,          363,          0 /* accept */,
		367, 368, 360, 0 /* send */, 0 /* recv */, 369,
		371, 373, 366, 365,          370,          372,
		364, 337, 345,
	};
	static const uint16_t ipc_calls[] = {
		0,
		0 /* semop */,
		393,
		394,
		0 /* semtimedop */,
		0,
		0,
		0,
		0,
		0,
		0,
		400,
		401,
		399,
		402,
		0,
		0,
		0,
		0,
		0,
		0,
		397,
		398,
		395,
		396,
	};

	if (pseudo <= -100 && -100 - pseudo < (int)ARRAY_LEN(socket_calls))
		return socket_calls[-100 - pseudo];
	if (pseudo <= -200 && -200 - pseudo < (int)ARRAY_LEN(ipc_calls))
		return ipc_calls[-200 - pseudo];
	return 0;
}

/* Sorts the rules by number with a stable radix sort, which for a thousand rules takes a tenth
 * of qsort(3)'s time. */
static int
compile_sort_rules(struct filter_arch *arch, struct error *err)
{
	struct filter_rule *from = arch->rules, *to, *swap;

	to = calloc(arch->n_rules + 1, sizeof(*to));
	if (!to)
		return error_nomem(err, "compiling a seccomp profile");
	for (unsigned int shift = 0; shift < 32; shift += 8) {
		size_t start[257] = { 0 };

		for (size_t i = 0; i < arch->n_rules; i++)
			start[(from[i].nr >> shift & 0xff) + 1]++;
		for (size_t d = 0; d < 256; d++)
			start[d + 1] += start[d];
		for (size_t i = 0; i < arch->n_rules; i++)
			to[start[from[i].nr >> shift & 0xff]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	/* The number of passes is even: the sorted rules are in the original array. */
	arch->rules = from;
	free(to);
	return 0;
}

int
filter_load(const struct filter *filter)
{
	struct sock_fprog program = {
		.len = (unsigned short)filter->n,
		.filter = (struct sock_filter *)(uintptr_t)filter->insns,
	};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program);
}
