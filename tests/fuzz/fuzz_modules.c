/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index files of a tree of kernel modules, separated by bytes 0xff: modules.dep,
 * modules.softdep, modules.alias, modules.builtin, and the requested modules, each on a
 * line with its parameters. A plan has each module once, after its dependencies.
 */
#include <string.h>

#include "lib/modtree_internal.h"
#include "tests/fuzz/target.h"

#define TEXTS 5

/* Takes the next text, copied to the heap, and reduces *size. */
static char *
take_text(const uint8_t **data, size_t *size, size_t *len)
{
	const uint8_t *stop = memchr(*data, 0xff, *size);
	size_t n = stop ? (size_t)(stop - *data) : *size;
	char *text = malloc(n + 1);

	MUST(text);
	memcpy(text, *data, n);
	text[n] = '\0';
	*len = n;
	*data += n + (stop ? 1 : 0);
	*size -= n + (stop ? 1 : 0);
	return text;
}

/* Returns the position of a module in the plan, or n_planned. */
static size_t
place_of(const struct modtree *tree, const struct module *module)
{
	size_t i = 0;

	while (i < tree->n_planned && tree->plan[i] != module)
		i++;
	return i;
}

static void
expect_needs_first(const struct modtree *tree, size_t at)
{
	const char *text = tree->plan[at]->deps;
	char name[MODULE_NAME_MAX];

	for (size_t len; *(text += strspn(text, " \t")); text += len) {
		const struct module *dep;

		len = strcspn(text, " \t");
		MUST(modtree_name(text, len, name));
		dep = modtree_find(tree, name);
		MUST(dep && place_of(tree, dep) < at);
	}
}

static void
expect_plan(const struct modtree *tree)
{
	MUST(tree->n_planned <= tree->n);
	for (size_t i = 0; i < tree->n_planned; i++) {
		MUST(place_of(tree, tree->plan[i]) == i);
		MUST(modtree_planned(tree, i)[0] && modtree_planned_name(tree, i)[0]);
		expect_needs_first(tree, i);
	}
	MUST(!modtree_planned(tree, tree->n_planned));
}

/* Checks a success: the module is in the plan unless it is built in. */
static void
expect_wanted(const struct modtree *tree, const char *spec)
{
	const struct module *module;
	char name[MODULE_NAME_MAX];

	spec += strspn(spec, " \t");
	MUST(modtree_name(spec, strcspn(spec, " \t"), name));
	module = modtree_find(tree, name);
	MUST(module ? place_of(tree, module) < tree->n_planned : tree->builtin != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct modtree *tree = calloc(1, sizeof(*tree));
	struct error err = ERROR_INIT;
	char *texts[TEXTS], *rest, *spec;
	size_t len[TEXTS];

	MUST(tree);
	for (size_t i = 0; i < TEXTS; i++)
		texts[i] = take_text(&data, &size, &len[i]);
	tree->dir = strdup("/lib/modules/6.1.0");
	MUST(tree->dir);
	tree->release = tree->dir + strlen("/lib/modules/");
	tree->dep = texts[0];
	tree->dep_len = len[0];
	tree->softdep = texts[1];
	tree->alias = texts[2];
	tree->builtin = texts[3];
	if (modtree_parse(tree, &err) < 0) {
		MUST(err.code == ERROR_INVALID_ARGUMENT && *err.msg);
	} else {
		for (rest = texts[4]; (spec = strsep(&rest, "\n"));) {
			err = ERROR_INIT;
			if (modtree_want(tree, spec, &err) < 0) {
				MUST(err.code != ERROR_OK && *err.msg);
				/* After any other error the plan is unusable. */
				if (err.code != ERROR_NOT_FOUND)
					break;
			} else {
				expect_wanted(tree, spec);
			}
			expect_plan(tree);
		}
	}
	free(texts[4]);
	modtree_free(tree);
	return 0;
}
