/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF generator. The program is written backwards, so that the target of a jump exists before
 * the jump; a label is the number of instructions after it. For each architecture, the numbers of
 * system calls are divided into ranges with the same outcome, which a binary search finds. Pure.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/seccomp/rules.h"
#include "lib/cleanup.h"

/* The reach of a conditional jump is 255 instructions; the rest is reserve for inserted long
 * jumps. */
#define REACH 250

/* Number of actions whose return instruction is remembered, to be shared while it is in reach. */
#define RETURNS_MAX 16

struct gen {
	/* The last instruction is first. */
	struct sock_filter insns[FILTER_MAX];
	uint32_t n;
	bool full;
	struct {
		uint32_t action, label;
	} returns[RETURNS_MAX];
	uint32_t n_returns;
	uint32_t otherwise;
};

/* The outcome of the system calls from `first` to the start of the next range. */
struct range {
	uint32_t first;
	/* The action if there are no rules with conditions. */
	uint32_t action;
	/* Rules with conditions, tried in order before gen.otherwise. */
	const struct filter_rule *rules;
	size_t n_rules;
};

static uint32_t emit_return(struct gen *g, uint32_t action);
static uint32_t emit_arch(struct gen *g, const struct filter_arch *arch, uint32_t otherwise,
			  uint32_t bad_arch);
static uint32_t emit_outcome(struct gen *g, const struct range *r);
static uint32_t emit_arg(struct gen *g, const struct filter_arg *a, uint32_t yes, uint32_t no);
static uint32_t emit_equal(struct gen *g, const struct filter_arg *a, uint64_t mask, uint64_t value,
			   uint32_t yes, uint32_t no);
static uint32_t emit_if(struct gen *g, uint16_t op, uint32_t k, uint32_t yes, uint32_t no);
static uint32_t emit_greater(struct gen *g, const struct filter_arg *a, bool or_equal, uint32_t yes,
			     uint32_t no);
static uint32_t emit_search(struct gen *g, const struct range *ranges, size_t n);

/* Prepends an instruction and returns its label. */
static uint32_t
bpf_emit(struct gen *g, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (g->n == FILTER_MAX) {
		g->full = true;
		return g->n - 1;
	}
	g->insns[g->n] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
	return g->n++;
}

static uint32_t
emit_load(struct gen *g, size_t offset)
{
	return bpf_emit(g, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* Returns the offset of the low half of an argument. */
static size_t
low_half(uint32_t index)
{
	size_t at = offsetof(struct seccomp_data, args) + index * sizeof(uint64_t);

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? at : at + 4;
}

int
filter_generate(const struct filter_arch *archs, size_t n_archs, uint32_t otherwise,
		uint32_t bad_arch, struct filter *out, struct error *err)
{
	auto_free struct gen *g = malloc(sizeof(*g));
	uint32_t next;

	if (!g)
		return error_nomem(err, "compiling a seccomp profile");
	g->n = 0;
	g->n_returns = 0;
	g->full = false;
	g->otherwise = otherwise;
	next = emit_return(g, bad_arch);
	for (size_t i = n_archs; i-- > 0;) {
		uint32_t code = emit_arch(g, &archs[i], otherwise, bad_arch);

		next = emit_if(g, BPF_JEQ, archs[i].token, code, next);
	}
	(void)emit_load(g, offsetof(struct seccomp_data, arch));
	if (g->full)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"linux.seccomp: the profile exceeds the kernel's limit of %d instructions",
			FILTER_MAX);
	for (uint32_t i = 0; i < g->n; i++)
		out->insns[i] = g->insns[g->n - 1 - i];
	out->n = g->n;
	return 0;
}

static uint32_t
emit_return(struct gen *g, uint32_t action)
{
	uint32_t i;

	for (i = 0; i < g->n_returns && g->returns[i].action != action; i++)
		;
	if (i < g->n_returns && g->n - g->returns[i].label < REACH / 2)
		return g->returns[i].label;
	if (i == RETURNS_MAX)
		i = 0;
	g->returns[i].action = action;
	g->returns[i].label = bpf_emit(g, BPF_RET | BPF_K, 0, 0, action);
	if (i == g->n_returns)
		g->n_returns++;
	return g->returns[i].label;
}

/* Appends a range, or extends the last one if it has the same outcome. */
static void
add_range(struct range *ranges, size_t *n, struct range next)
{
	struct range *last;

	if (*n && ranges[*n - 1].first == next.first)
		(*n)--;
	last = *n ? &ranges[*n - 1] : NULL;
	if (!last || last->n_rules || next.n_rules || last->action != next.action)
		ranges[(*n)++] = next;
}

/* Appends the ranges of newer calls that start at or below `nr`, beginning with entry *k. */
static void
add_newer(struct range *ranges, size_t *n, const struct filter_arch *arch, size_t *k, uint32_t nr,
	  uint32_t otherwise)
{
	for (; *k < arch->n_newer && arch->newer[*k].first <= nr; ++*k) {
		const struct filter_newer *newer = &arch->newer[*k];

		add_range(ranges, n,
			  (struct range){ .first = newer->first,
					  .action = SECCOMP_RET_ERRNO | ENOSYS });
		if (newer->end)
			add_range(ranges, n,
				  (struct range){ .first = newer->end, .action = otherwise });
	}
}

/* Returns the range of one system call with n > 0 rules. A rule without conditions takes
 * precedence. */
static struct range
outcome_of(const struct filter_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!rules[i].n_args)
			return (struct range){ .first = rules->nr, .action = rules[i].action };
	}
	return (struct range){ .first = rules->nr, .rules = rules, .n_rules = n };
}

/* Emits the code of one architecture. */
static uint32_t
emit_arch(struct gen *g, const struct filter_arch *arch, uint32_t otherwise, uint32_t bad_arch)
{
	/* At most two ranges start at each rule and each entry of newer calls; three more are
	 * the ends. */
	auto_free struct range *ranges =
		calloc(2 * (arch->n_rules + FILTER_NEWER_MAX) + 4, sizeof(*ranges));
	size_t n = 0, newer = 0, same;

	if (!ranges) {
		g->full = true;
		return 0;
	}
	add_range(ranges, &n, (struct range){ .first = 0, .action = otherwise });
	for (size_t i = 0; i < arch->n_rules; i += same) {
		const struct filter_rule *rule = &arch->rules[i];

		for (same = 1; i + same < arch->n_rules && rule[same].nr == rule->nr; same++)
			;
		add_newer(ranges, &n, arch, &newer, rule->nr, otherwise);
		add_range(ranges, &n, outcome_of(rule, same));
		if (rule->nr != UINT32_MAX)
			add_range(ranges, &n,
				  (struct range){ .first = rule->nr + 1, .action = otherwise });
	}
	add_newer(ranges, &n, arch, &newer, UINT32_MAX, otherwise);
	if (arch->limit) {
		add_range(ranges, &n, (struct range){ .first = arch->limit, .action = bad_arch });
		/* A tracer writes -1 to skip a call (seccomp(2)). */
		add_range(ranges, &n, (struct range){ .first = UINT32_MAX, .action = otherwise });
	}
	/* A single range needs no search. A load must not be emitted: the outcome may be a
	 * shared return that does not follow it. */
	if (n == 1)
		return emit_outcome(g, ranges);
	(void)emit_search(g, ranges, n);
	return emit_load(g, offsetof(struct seccomp_data, nr));
}

static uint32_t
emit_outcome(struct gen *g, const struct range *r)
{
	uint32_t next, label;

	if (!r->n_rules)
		return emit_return(g, r->action);
	next = emit_return(g, g->otherwise);
	for (size_t i = r->n_rules; i-- > 0;) {
		label = emit_return(g, r->rules[i].action);
		for (uint32_t a = r->rules[i].n_args; a-- > 0;)
			label = emit_arg(g, &r->rules[i].args[a], label, next);
		next = label;
	}
	return next;
}

static uint32_t
emit_arg(struct gen *g, const struct filter_arg *a, uint32_t yes, uint32_t no)
{
	switch (a->op) {
	case FILTER_EQ:
		return emit_equal(g, a, UINT64_MAX, a->value, yes, no);
	case FILTER_NE:
		return emit_equal(g, a, UINT64_MAX, a->value, no, yes);
	case FILTER_MASKED_EQ:
		return emit_equal(g, a, a->value, a->value_two, yes, no);
	case FILTER_GT:
		return emit_greater(g, a, false, yes, no);
	case FILTER_GE:
		return emit_greater(g, a, true, yes, no);
	case FILTER_LT:
		return emit_greater(g, a, true, no, yes);
	case FILTER_LE:
		return emit_greater(g, a, false, no, yes);
	}
	return no;
}

static size_t
high_half(uint32_t index)
{
	return low_half(index) ^ 4;
}

/* Emits the test (arg & mask) == value. */
static uint32_t
emit_equal(struct gen *g, const struct filter_arg *a, uint64_t mask, uint64_t value, uint32_t yes,
	   uint32_t no)
{
	uint32_t low;

	low = emit_if(g, BPF_JEQ, (uint32_t)(value & mask), yes, no);
	if ((uint32_t)mask != UINT32_MAX)
		low = bpf_emit(g, BPF_ALU | BPF_AND | BPF_K, 0, 0, (uint32_t)mask);
	low = emit_load(g, low_half(a->index));
	if (a->narrow)
		return low;
	(void)emit_if(g, BPF_JEQ, (uint32_t)((value & mask) >> 32), low, no);
	if ((uint32_t)(mask >> 32) != UINT32_MAX)
		(void)bpf_emit(g, BPF_ALU | BPF_AND | BPF_K, 0, 0, (uint32_t)(mask >> 32));
	return emit_load(g, high_half(a->index));
}

/* Returns a label that leads to `label` and is within reach of the next instruction. */
static uint32_t
bpf_near(struct gen *g, uint32_t label)
{
	if (g->n - label <= REACH)
		return label;
	return bpf_emit(g, BPF_JMP | BPF_JA, 0, 0, g->n - label - 1);
}

static uint32_t
emit_if(struct gen *g, uint16_t op, uint32_t k, uint32_t yes, uint32_t no)
{
	yes = bpf_near(g, yes);
	no = bpf_near(g, no);
	return bpf_emit(g, (uint16_t)(BPF_JMP | op | BPF_K), (uint8_t)(g->n - yes - 1),
			(uint8_t)(g->n - no - 1), k);
}

/* Emits the test arg > value, or arg >= value if `or_equal`. */
static uint32_t
emit_greater(struct gen *g, const struct filter_arg *a, bool or_equal, uint32_t yes, uint32_t no)
{
	uint32_t low, same;

	low = emit_if(g, or_equal ? BPF_JGE : BPF_JGT, (uint32_t)a->value, yes, no);
	low = emit_load(g, low_half(a->index));
	if (a->narrow)
		return low;
	same = emit_if(g, BPF_JEQ, (uint32_t)(a->value >> 32), low, no);
	(void)emit_if(g, BPF_JGT, (uint32_t)(a->value >> 32), yes, same);
	return emit_load(g, high_half(a->index));
}

/* Emits a binary search over n > 0 ranges. */
static uint32_t
emit_search(struct gen *g, const struct range *ranges, size_t n)
{
	uint32_t low, high;

	if (n == 1)
		return emit_outcome(g, ranges);
	high = emit_search(g, ranges + n / 2, n - n / 2);
	low = emit_search(g, ranges, n / 2);
	return emit_if(g, BPF_JGE, ranges[n / 2].first, high, low);
}
