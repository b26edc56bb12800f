/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Explains why symbols have not the values that were requested. It is linked with the objects of the
 * kernel's own scripts/kconfig, which evaluate the Kconfig files, and runs with the environment of
 * `make olddefconfig`. For kernel-config/build: see explain() there.
 *
 * TATAMI_REQUESTS: "CONFIG_NAME=VALUE ..."; the configuration is .config of the current directory.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkc.h"

/* Longest chain that is followed: A depends on B, B on C. */
#define DEPTH_MAX 4
/* Largest number of selecting symbols that are printed. */
#define SELECTS_MAX 6

static void explain_shortfall(struct symbol *sym, tristate wanted, int depth);

static void
explain_print(const char *name, const char *what, struct expr *e)
{
	struct gstr text = str_new();

	expr_gstr_print(e, &text);
	printf("  %s %s %s\n", name, what, str_get(&text));
	str_free(&text);
}

/* Prints the terms of a conjunction that are below `wanted`, and explains those that are symbols. */
static void
explain_terms(struct symbol *sym, const char *what, struct expr *e, tristate wanted, int depth)
{
	if (!e || expr_calc_value(e) >= wanted)
		return;
	if (e->type == E_AND) {
		explain_terms(sym, what, e->left.expr, wanted, depth);
		explain_terms(sym, what, e->right.expr, wanted, depth);
		return;
	}
	explain_print(sym->name, what, e);
	if (e->type == E_SYMBOL && e->left.sym->name && depth < DEPTH_MAX)
		explain_shortfall(e->left.sym, wanted, depth + 1);
}

/* Prints the alternatives of a disjunction that are above `least`, or all if `least` is negative. */
static int
explain_selects(struct symbol *sym, struct expr *e, int least, int printed)
{
	if (!e || printed >= SELECTS_MAX)
		return printed;
	if (e->type == E_OR) {
		printed = explain_selects(sym, e->left.expr, least, printed);
		return explain_selects(sym, e->right.expr, least, printed);
	}
	if ((int)expr_calc_value(e) <= least)
		return printed;
	explain_print(sym->name, "is selected by", e);
	return printed + 1;
}

/* Returns the choice that the symbol is a member of, or NULL. */
static struct menu *
explain_choice(struct symbol *sym)
{
	struct property *prompt;

	for_all_prompts(sym, prompt) {
		struct menu *parent = prompt->menu ? prompt->menu->parent : NULL;

		if (parent && parent->sym && sym_is_choice(parent->sym))
			return parent;
	}
	return NULL;
}

static bool
explain_taken(struct symbol *sym)
{
	struct menu *choice = explain_choice(sym), *m;

	for (m = choice ? choice->list : NULL; m; m = m->next) {
		if (!m->sym || m->sym == sym || m->sym->curr.tri == no)
			continue;
		printf("  %s is one of a choice, of which %s was taken\n", sym->name, m->sym->name);
		return true;
	}
	return false;
}

/* Explains why a symbol is less than `wanted`: off, or a module. */
static void
explain_shortfall(struct symbol *sym, tristate wanted, int depth)
{
	struct property *prompt;
	bool has_prompt = false;

	sym_calc_value(sym);
	if (sym->curr.tri >= wanted)
		return;
	if (sym_get_type(sym) == S_UNKNOWN) {
		printf("  %s does not exist on this architecture\n", sym->name);
		return;
	}
	if (expr_calc_value(sym->dir_dep.expr) < wanted && sym->dir_dep.expr) {
		explain_terms(sym, "depends on", sym->dir_dep.expr, wanted, depth);
		return;
	}
	for_all_prompts(sym, prompt) {
		has_prompt = true;
		explain_terms(sym, "can be set only with", prompt->visible.expr, wanted, depth);
	}
	if (has_prompt) {
		if (!explain_taken(sym) && sym->visible >= wanted && depth > 0)
			printf("  %s was not asked for\n", sym->name);
		return;
	}
	printf("  %s has no prompt: it can only be selected, or set by default\n", sym->name);
	explain_selects(sym, sym->rev_dep.expr, -1, 0);
}

/* Explains why a symbol is more than `wanted`: on, or built in. */
static void
explain_excess(struct symbol *sym, tristate wanted)
{
	struct property *prompt;

	if (explain_selects(sym, sym->rev_dep.expr, wanted, 0) > 0)
		return;
	if (explain_choice(sym)) {
		printf("  %s is one of a choice, of which one must be taken\n", sym->name);
		return;
	}
	for_all_prompts(sym, prompt)
		explain_terms(sym, "can be unset only with", prompt->visible.expr, yes, DEPTH_MAX);
	if (sym->visible < yes)
		printf("  %s is set by default\n", sym->name);
}

/* Explains why a number or a string is not the one that was asked for. */
static void
explain_value(struct symbol *sym)
{
	struct property *p;

	explain_terms(sym, "depends on", sym->dir_dep.expr, yes, 0);
	for_all_prompts(sym, p)
		explain_terms(sym, "can be set only with", p->visible.expr, yes, 0);
	for_all_properties(sym, p, P_RANGE) {
		if (expr_calc_value(p->visible.expr) != no)
			explain_print(sym->name, "is limited to", p->expr);
	}
}

static void
explain(const char *name, const char *value)
{
	struct symbol *sym = sym_find(name);

	if (!sym || sym_get_type(sym) == S_UNKNOWN) {
		printf("  %s does not exist on this architecture\n", name);
		return;
	}
	sym_calc_value(sym);
	if (sym_get_type(sym) != S_BOOLEAN && sym_get_type(sym) != S_TRISTATE) {
		explain_value(sym);
	} else if (*value == 'm' && sym_get_type(sym) == S_BOOLEAN) {
		printf("  %s cannot be a module\n", name);
	} else {
		tristate wanted = *value == 'y' ? yes : *value == 'm' ? mod : no;

		if (sym->curr.tri < wanted)
			explain_shortfall(sym, wanted, 0);
		else
			explain_excess(sym, wanted);
	}
}

/* Drops what the library says while it reads. */
static void
explain_ignore(const char *text)
{
	(void)text;
}

int
main(void)
{
	const char *list = getenv("TATAMI_REQUESTS");
	char *requests = list ? strdup(list) : NULL, *state = NULL, *word;

	if (!requests)
		return 2;
	conf_set_message_callback(explain_ignore);
	conf_parse("Kconfig");
	if (conf_read(NULL) != 0)
		return 1;
	for (word = strtok_r(requests, " \n", &state); word; word = strtok_r(NULL, " \n", &state)) {
		char *value = strchr(word, '=');

		if (!value || strncmp(word, "CONFIG_", 7) != 0)
			return 2;
		*value++ = '\0';
		explain(word + 7, value);
	}
	free(requests);
	return 0;
}
