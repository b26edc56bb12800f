/* SPDX-License-Identifier: Apache-2.0 */
/* Expansion of variable references; see expand.h. */
#include "ctl/pod/expand.h"

#include <string.h>

static size_t expand_piece(const char *text, char *const *env, size_t n_env, const char **from,
			   size_t *n);

const char *
expand_text(struct arena *a, const char *text, char *const *env, size_t n_env)
{
	const char *at, *from;
	size_t total = 0, n;
	char *out, *end;

	for (at = text; *at; total += n)
		at += expand_piece(at, env, n_env, &from, &n);
	out = end = arena_alloc(a, total + 1);
	if (!out)
		return NULL;
	for (at = text; *at; end += n) {
		at += expand_piece(at, env, n_env, &from, &n);
		memcpy(end, from, n);
	}
	*end = '\0';
	return out;
}

/* Returns the value of the variable whose name has n bytes, or NULL. */
static const char *
expand_find(char *const *env, size_t n_env, const char *name, size_t n)
{
	for (size_t i = n_env; i-- > 0;) {
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return env[i] + n + 1;
	}
	return NULL;
}

/* Expands the first piece of a non-empty text to the *n bytes at *from. Returns the length of
 * the piece. */
static size_t
expand_piece(const char *text, char *const *env, size_t n_env, const char **from, size_t *n)
{
	size_t plain = strcspn(text, "$"), name;

	*from = text;
	*n = plain;
	if (plain)
		return plain;
	*n = 1;
	if (text[1] == '$')
		return 2;
	name = text[1] == '(' ? strcspn(text + 2, ")") : 0;
	if (text[1] != '(' || !text[2 + name])
		return 1;
	*from = expand_find(env, n_env, text + 2, name);
	*n = *from ? strlen(*from) : name + 3;
	if (!*from)
		*from = text;
	return name + 3;
}
