/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles made at random, compiled by us and by libseccomp; both programs are interpreted for
 * every system call of several architectures, with arguments on and around the values that the
 * rules name, and must say the same.
 */
#include <criterion/criterion.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/seccomp/filter.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/seccomp/filter_reference.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(filter_random, .fini = spec_release_all);

#define PROFILES  150
#define ROWS_MAX  32
#define NAMES_MAX 256
/* more than the highest number of all architectures here */
#define CALLS 470
/* of arguments, for a call that has a rule */
#define VECTORS    24
#define VALUES_MAX 256

struct world {
	uint64_t state;
	struct rule_row rows[ROWS_MAX];
	char names[ROWS_MAX][NAMES_MAX];
	size_t n_rows;
	/* that the rules compare with, and their neighbours */
	uint64_t values[VALUES_MAX];
	size_t n_values;
	/* answers */
	size_t compared, excused;
};

struct programs {
	const char *otherwise;
	struct filter ours;
	struct reference theirs;
};

/* splitmix64 */
static uint64_t
next(struct world *w)
{
	uint64_t z = w->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
below(struct world *w, uint64_t n)
{
	return next(w) % n;
}

static uint64_t
pick_value(struct world *w)
{
	static const uint64_t usual[] = {
		0,          1,          8,          40,         0xffff, 0x20000,     0x7e020000,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, ~0ull,  0x100000028, ~0ull << 32,
	};

	switch (below(w, 4)) {
	case 0:
		return next(w);
	case 1:
		return below(w, 100);
	default:
		return usual[below(w, ARRAY_LEN(usual))];
	}
}

static void
remember(struct world *w, uint64_t value)
{
	const uint64_t near[] = { value, value + 1, value - 1, value ^ 1ull << 32,
				  (uint32_t)value };

	for (size_t i = 0; i < ARRAY_LEN(near) && w->n_values < VALUES_MAX; i++)
		w->values[w->n_values++] = near[i];
}

static void
make_arg(struct world *w, struct rule_row *row)
{
	static const char *const ops[] = {
		"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
		"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
	};
	int at = row->n_args++;
	uint64_t mask = pick_value(w);

	row->args[at].index = below(w, RULE_ARGS_MAX);
	row->args[at].op = ops[below(w, ARRAY_LEN(ops))];
	row->args[at].value = mask;
	remember(w, mask);
	if (strcmp(row->args[at].op, "SCMP_CMP_MASKED_EQ") == 0) {
		row->args[at].value_two = pick_value(w) & mask;
		remember(w, row->args[at].value_two);
	}
}

/* Calls that i386 has inside socketcall(2) and ipc(2): there libseccomp drops conditions that it
 * cannot check, and we drop what they would permit (seccomp/compile.c). Compared without
 * conditions only. */
static bool
is_multiplexed(const char *name)
{
	return seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name) <= -100 ||
	       strcmp(name, "socketcall") == 0 || strcmp(name, "ipc") == 0;
}

static bool
seen_before(const struct world *w, size_t rows, const char *name)
{
	for (size_t i = 0; i < rows; i++) {
		if (strcmp(w->rows[i].names, name) == 0)
			return true;
	}
	return false;
}

/* One rule of one call. Conditional rules of one call have one action each and no other: which
 * of several would win is said nowhere. */
static void
make_row(struct world *w, const char *action, uint32_t number)
{
	struct rule_row *row = &w->rows[w->n_rows];
	char *name = NULL;

	while (!name)
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, (int)below(w, 450));
	(void)snprintf(w->names[w->n_rows], NAMES_MAX, "%s", name);
	free(name);
	*row = (struct rule_row){
		.action = action,
		.names = w->names[w->n_rows],
		.number = number,
	};
	if (!is_multiplexed(row->names) && below(w, 3)) {
		for (uint64_t n = 1 + below(w, 3); n > 0; n--)
			make_arg(w, row);
	}
	if (seen_before(w, w->n_rows, row->names))
		return;
	w->n_rows++;
}

/* More conditions for a call that has some, with the same action. */
static void
make_more(struct world *w)
{
	const struct rule_row *model = &w->rows[below(w, w->n_rows)];
	struct rule_row *row = &w->rows[w->n_rows];

	if (!model->n_args || w->n_rows == ROWS_MAX)
		return;
	*row = (struct rule_row){
		.action = model->action,
		.names = model->names,
		.number = model->number,
	};
	make_arg(w, row);
	w->n_rows++;
}

static void
make_profile(struct world *w)
{
	static const char *const actions[] = {
		"SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
		"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",   "SCMP_ACT_TRAP", "SCMP_ACT_TRACE",
	};
	uint64_t n = 1 + below(w, ROWS_MAX - 8);

	w->n_rows = 0;
	w->n_values = 0;
	remember(w, 0);
	while (n-- > 0) {
		const char *action = actions[below(w, ARRAY_LEN(actions))];
		bool numbered = strcmp(action, "SCMP_ACT_ERRNO") == 0 ||
				strcmp(action, "SCMP_ACT_TRACE") == 0;

		make_row(w, action, numbered ? (uint32_t)below(w, 200) : 0);
	}
	for (n = below(w, 8); n > 0; n--)
		make_more(w);
}

static bool
has_rule(const struct world *w, uint32_t token, int nr)
{
	for (size_t i = 0; i < w->n_rows; i++) {
		if (seccomp_syscall_resolve_name_arch(token, w->rows[i].names) == nr)
			return true;
	}
	return false;
}

/* Prints the rules, to analyse a difference. */
static void
show(const struct world *w, const struct seccomp_data *data)
{
	for (size_t i = 0; i < w->n_rows; i++) {
		const struct rule_row *row = &w->rows[i];

		fprintf(stderr, "# %s %s %u%s", row->names, row->action, row->number,
			row->refused ? " (refused)" : "");
		for (int a = 0; a < row->n_args; a++)
			fprintf(stderr, " [%d] %s %#llx %#llx", (int)row->args[a].index,
				row->args[a].op, (unsigned long long)row->args[a].value,
				(unsigned long long)row->args[a].value_two);
		fprintf(stderr, "\n");
	}
	for (size_t i = 0; i < RULE_ARGS_MAX; i++)
		fprintf(stderr, "# argument %zu: %#llx\n", i, (unsigned long long)data->args[i]);
}

static bool
holds(const struct rule_row *row, int at, const struct seccomp_data *data, bool narrow)
{
	uint64_t mask = narrow ? UINT32_MAX : UINT64_MAX;
	uint64_t value = row->args[at].value & mask, arg = data->args[row->args[at].index] & mask;
	const char *op = row->args[at].op + strlen("SCMP_CMP_");

	if (strcmp(op, "NE") == 0)
		return arg != value;
	if (strcmp(op, "LT") == 0)
		return arg < value;
	if (strcmp(op, "LE") == 0)
		return arg <= value;
	if (strcmp(op, "EQ") == 0)
		return arg == value;
	if (strcmp(op, "GE") == 0)
		return arg >= value;
	if (strcmp(op, "GT") == 0)
		return arg > value;
	return (arg & value) == (row->args[at].value_two & value);
}

/* All conditions; if some are on the same argument, any of them. */
static bool
applies(const struct rule_row *row, const struct seccomp_data *data, bool narrow)
{
	unsigned int seen = 0;
	bool all = true, any = row->n_args == 0, repeated = false;

	for (int i = 0; i < row->n_args; i++) {
		bool yes = holds(row, i, data, narrow);

		repeated |= seen >> row->args[i].index & 1;
		seen |= 1u << row->args[i].index;
		all &= yes;
		any |= yes;
	}
	return repeated ? any : all;
}

/* The row that decides a call of this ABI, by the definition of a profile: NULL if none does. A
 * rule without conditions comes before those with. */
static const struct rule_row *
decides(const struct world *w, uint32_t token, const struct seccomp_data *data)
{
	const struct rule_row *found = NULL;

	for (size_t i = 0; i < w->n_rows; i++) {
		const struct rule_row *row = &w->rows[i];

		if (row->refused || (found && row->n_args) ||
		    seccomp_syscall_resolve_name_arch(token, row->names) != data->nr)
			continue;
		if (!row->n_args)
			return row;
		if (applies(row, data, !(token & 0x80000000)))
			found = row;
	}
	return found;
}

/* libseccomp (2.5.4 at least) merges the conditions of all rules of one call into one tree and
 * now and then loses one: what a profile means decides then. With a single condition there is
 * nothing to merge. */
static bool
is_merged(const struct world *w, uint32_t token, int nr)
{
	int conditions = 0;

	for (size_t i = 0; i < w->n_rows; i++) {
		const struct rule_row *row = &w->rows[i];

		if (seccomp_syscall_resolve_name_arch(token, row->names) == nr)
			conditions += row->n_args;
	}
	return conditions > 1;
}

static void
compare_call(struct world *w, const struct programs *p, uint32_t token, struct seccomp_data *data,
	     size_t vectors)
{
	while (vectors-- > 0) {
		const struct rule_row *row;
		uint32_t want, ours, theirs;

		for (size_t i = 0; i < RULE_ARGS_MAX; i++)
			data->args[i] = w->values[below(w, w->n_values)];
		ours = reference_answer(p->ours.insns, p->ours.n, data);
		theirs = reference_expects(&p->theirs, data);
		w->compared++;
		if (ours == theirs)
			continue;
		row = decides(w, token, data);
		want = reference_action(row ? row->action : p->otherwise, row ? row->number : 0);
		if (ours == want && is_merged(w, token, data->nr)) {
			w->excused++;
			continue;
		}
		show(w, data);
		REQUIRE(false, "arch %#x call %d: ours %#x, libseccomp's %#x, meant %#x",
			data->arch, data->nr, ours, theirs, want);
	}
}

static void
compare_arch(struct world *w, const struct programs *p, uint32_t token)
{
	bool x32 = token == SCMP_ARCH_X32;
	struct seccomp_data data = { .arch = x32 ? SCMP_ARCH_X86_64 : token };

	for (int nr = 0; nr < CALLS; nr++) {
		data.nr = x32 ? nr | 0x40000000 : nr;
		compare_call(w, p, token, &data, has_rule(w, token, data.nr) ? VECTORS : 1);
	}
	data.nr = -1;
	compare_call(w, p, token, &data, 1);
}

Test(filter_random, same_as_libseccomp, .timeout = 120)
{
	static const struct {
		const char *names[5];
		uint32_t tokens[5];
		size_t n;
	} sets[] = {
		{ { NULL }, { 0 }, 0 },
		{ { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", NULL },
		  { SCMP_ARCH_X86_64, SCMP_ARCH_X86 },
		  2 },
		{ { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL },
		  { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 },
		  3 },
		{ { "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL },
		  { SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64, SCMP_ARCH_ARM },
		  3 },
		{ { "SCMP_ARCH_X86_64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_MIPSEL64", NULL },
		  { SCMP_ARCH_X86_64, SCMP_ARCH_RISCV64, SCMP_ARCH_MIPSEL64 },
		  3 },
	};
	static const char *const defaults[] = {
		"SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG",
		"SCMP_ACT_TRAP",  "SCMP_ACT_TRACE", "SCMP_ACT_KILL",
	};
	static const uint32_t everything[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32,
					       SCMP_ARCH_AARCH64, SCMP_ARCH_ARM };
	auto_free struct programs *p = malloc(sizeof(*p));
	auto_free struct world *w = calloc(1, sizeof(*w));
	size_t compared = 0;

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		cr_skip_test("compares the programs of x86");
	w->state = 20240607;
	for (size_t i = 0; i < PROFILES; i++) {
		size_t set = below(w, ARRAY_LEN(sets));

		make_profile(w);
		p->otherwise = defaults[i % ARRAY_LEN(defaults)];
		if (!reference_make(p->otherwise, sets[set].tokens, sets[set].n, w->rows, w->n_rows,
				    &p->theirs))
			continue;
		reference_ours(p->otherwise, sets[set].names, w->rows, w->n_rows, &p->ours);
		for (size_t a = 0; a < ARRAY_LEN(everything); a++)
			compare_arch(w, p, everything[a]);
		compared++;
	}
	REQUIRE_GE(compared, PROFILES * 9 / 10, "only %zu compared", compared);
	REQUIRE_LE(w->excused, w->compared / 100, "%zu of %zu calls differ", w->excused,
		   w->compared);
}
