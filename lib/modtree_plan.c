/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of modtree.h: a depth-first search of the dependencies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/modtree_internal.h"

static struct module *plan_find(const struct modtree *tree, const char *name);
static bool plan_is_builtin(const struct modtree *tree, const char *name);
static int plan_set_params(struct module *module, const char *params, struct error *err);
static int plan_module(struct modtree *tree, struct module *module, struct error *err);
static int plan_softdeps(struct modtree *tree, struct module *module, const char *when,
			 struct error *err);
static struct module *plan_find_alias(const struct modtree *tree, const char *alias);
static int plan_deps(struct modtree *tree, struct module *module, struct error *err);

/* Finds the next word of a text. Returns false at the end. */
static bool
modtree_plan_next_word(const char **text, const char **word, size_t *len)
{
	*word = *text + strspn(*text, " \t");
	*len = strcspn(*word, " \t\n");
	*text = *word + *len;
	return *len > 0;
}

int
modtree_want(struct modtree *tree, const char *spec, struct error *err)
{
	const char *rest = spec, *word;
	char name[MODULE_NAME_MAX];
	struct module *module;
	size_t len;

	if (strchr(spec, '\n'))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid module \"%.40s\": newline",
				 spec);
	if (!modtree_plan_next_word(&rest, &word, &len) || !modtree_name(word, len, name))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid module name \"%.80s\"",
				 spec);
	module = plan_find(tree, name);
	if (!module && plan_is_builtin(tree, name))
		return 0;
	if (!module)
		return error_set(err, ERROR_NOT_FOUND,
				 "kernel %s has no module %s, loadable or built in", tree->release,
				 name);
	if (plan_set_params(module, rest + strspn(rest, " \t"), err) < 0)
		return -1;
	return plan_module(tree, module, err);
}

const char *
modtree_resolve(const struct modtree *tree, const char *name)
{
	char own[MODULE_NAME_MAX];
	const struct module *module =
		modtree_name(name, strlen(name), own) ? plan_find(tree, own) : NULL;

	return module ? module->name : NULL;
}

/* Finds a module by its name, or else by an alias. */
static struct module *
plan_find(const struct modtree *tree, const char *name)
{
	struct module *module = modtree_find(tree, name);

	return module || plan_is_builtin(tree, name) ? module : plan_find_alias(tree, name);
}

static bool
plan_is_builtin(const struct modtree *tree, const char *name)
{
	const char *text = tree->builtin, *word;
	char built_in[MODULE_NAME_MAX];
	size_t len;

	while (text && *text) {
		if (modtree_plan_next_word(&text, &word, &len) &&
		    modtree_name(word, len, built_in) && !strcmp(built_in, name))
			return true;
		text += strspn(text, "\n");
	}
	return false;
}

static int
plan_set_params(struct module *module, const char *params, struct error *err)
{
	if (!*params || (module->params && !strcmp(module->params, params)))
		return 0;
	if (module->params)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "conflicting parameters of module %s: \"%s\" and \"%s\"",
				 module->name, module->params, params);
	module->params = strdup(params);
	return module->params ? 0 : error_nomem(err, "planning modules");
}

static int
plan_module(struct modtree *tree, struct module *module, struct error *err)
{
	if (module->state != MODULE_UNSEEN)
		return 0;
	module->state = MODULE_OPEN;
	if (plan_softdeps(tree, module, "pre:", err) < 0 || plan_deps(tree, module, err) < 0)
		return -1;
	module->state = MODULE_PLANNED;
	tree->plan[tree->n_planned++] = module;
	return plan_softdeps(tree, module, "post:", err);
}

/* Returns the rest of the next line that starts with the word `first`, or NULL, and advances *text
 * past that line. */
static const char *
plan_next_line(const char **text, const char *first)
{
	size_t len = strlen(first);

	while (*text && **text) {
		const char *line = *text, *end = strchrnul(line, '\n');

		*text = *end ? end + 1 : end;
		if (!strncmp(line, first, len) && (line[len] == ' ' || line[len] == '\t'))
			return line + len;
	}
	return NULL;
}

/* Returns whether `dep` depends on `module`. depmod lists indirect dependencies, too, so one line
 * suffices. */
static bool
plan_needs(const struct module *dep, const struct module *module)
{
	const char *text = dep->deps, *word;
	char name[MODULE_NAME_MAX];
	size_t len;

	while (modtree_plan_next_word(&text, &word, &len)) {
		if (modtree_name(word, len, name) && !strcmp(name, module->name))
			return true;
	}
	return false;
}

/* Plans the modules of "softdep NAME pre: A B post: C", except missing ones and those that depend
 * on the module. */
static int
plan_softdeps(struct modtree *tree, struct module *module, const char *when, struct error *err)
{
	const char *text = tree->softdep, *line, *word;
	char name[MODULE_NAME_MAX];
	size_t len;

	while ((line = plan_next_line(&text, "softdep"))) {
		bool ours = false;

		if (!modtree_plan_next_word(&line, &word, &len) || !modtree_name(word, len, name) ||
		    strcmp(name, module->name) != 0)
			continue;
		while (modtree_plan_next_word(&line, &word, &len)) {
			struct module *dep;

			if (word[len - 1] == ':') {
				ours = len == strlen(when) && !strncmp(word, when, len);
				continue;
			}
			if (!ours || !modtree_name(word, len, name))
				continue;
			dep = plan_find(tree, name);
			if (!dep || dep->state != MODULE_UNSEEN)
				continue;
			if (module->state == MODULE_OPEN && plan_needs(dep, module))
				continue;
			if (plan_module(tree, dep, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Resolves an alias, such as "crypto-crc32c" or "fs-btrfs". Of several modules with that alias a
 * generic one is preferred, since others need a certain processor. */
static struct module *
plan_find_alias(const struct modtree *tree, const char *alias)
{
	const char *text = tree->alias, *line, *word;
	char pattern[MODULE_NAME_MAX], name[MODULE_NAME_MAX];
	struct module *found = NULL, *module;
	size_t len;

	while ((line = plan_next_line(&text, "alias"))) {
		if (!modtree_plan_next_word(&line, &word, &len) ||
		    !modtree_name(word, len, pattern) || strcmp(pattern, alias) != 0)
			continue;
		if (!modtree_plan_next_word(&line, &word, &len) || !modtree_name(word, len, name))
			continue;
		module = modtree_find(tree, name);
		if (module && (!found || strstr(name, "_generic")))
			found = module;
	}
	return found;
}

/* Reports a dependency cycle with the modules that are being planned. */
static int
plan_circle(const struct modtree *tree, const struct module *module, struct error *err)
{
	char names[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < tree->n; i++) {
		if (tree->all[i].state != MODULE_OPEN || &tree->all[i] == module)
			continue;
		used += (size_t)snprintf(names + used, sizeof(names) - used, " %s",
					 tree->all[i].name);
		if (used >= sizeof(names))
			break;
	}
	return error_set(err, ERROR_FAILED_PRECONDITION,
			 "modules.dep: module %s depends on itself%s%s", module->name,
			 names[0] ? ", through" : "", names);
}

static int
plan_deps(struct modtree *tree, struct module *module, struct error *err)
{
	const char *text = module->deps, *word;
	char name[MODULE_NAME_MAX];
	size_t len;

	while (modtree_plan_next_word(&text, &word, &len)) {
		struct module *dep =
			modtree_name(word, len, name) ? modtree_find(tree, name) : NULL;

		if (!dep)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "modules.dep: %s needs %.*s, which is not listed",
					 module->path, (int)len, word);
		if (dep->state == MODULE_OPEN)
			return plan_circle(tree, dep, err);
		if (plan_module(tree, dep, err) < 0)
			return -1;
	}
	return 0;
}

const char *
modtree_planned(const struct modtree *tree, size_t i)
{
	return i < tree->n_planned ? tree->plan[i]->path : NULL;
}

const char *
modtree_planned_name(const struct modtree *tree, size_t i)
{
	return i < tree->n_planned ? tree->plan[i]->name : NULL;
}

const char *
modtree_planned_params(const struct modtree *tree, size_t i)
{
	return i < tree->n_planned && tree->plan[i]->params ? tree->plan[i]->params : "";
}
