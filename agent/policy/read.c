/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of a policy's text. Called by policy.c; fuzzed. See policy.h for the language.
 * Pure. */
#include <string.h>

#include "agent.pb-c.h"
#include "agent/policy/policy.h"
#include "lib/cleanup.h"

#define BLANKS " \t\r"
/* Bytes of a line that an error message quotes. */
#define QUOTED_MAX  48
#define ALLOW_FAILS "AllowRequestsFailingPolicy"

static const ProtobufCServiceDescriptor *const service = &grpc__agent_service__descriptor;

/* The unread part of a line, without its comment. */
struct words {
	const char *at, *end;
};

/* The state of the parser. */
struct reading {
	struct policy policy;
	bool has_package, has_failing;
	bool has_line[POLICY_METHODS_MAX];
};

static const char *policy_read_line(struct reading *r, const char *line, size_t len);
static bool policy_ends_with(struct words *w, const char *const *what, size_t n_what);
static const char *policy_read_default(struct reading *r, struct words *w);
static bool policy_read_note(struct reading *r, const char *name, size_t n, bool value);

/* Reads the next word: up to a blank, or `:=` or `=`, which are words of their own. Returns its
 * length. */
static size_t
policy_next_word(struct words *w, const char **word)
{
	size_t n = 0, left;

	while (w->at < w->end && strchr(BLANKS, *w->at))
		w->at++;
	left = (size_t)(w->end - w->at);
	*word = w->at;
	if (left >= 2 && memcmp(w->at, ":=", 2) == 0)
		n = 2;
	else if (left >= 1 && *w->at == '=')
		n = 1;
	else
		while (n < left && !strchr(BLANKS ":=", w->at[n]))
			n++;
	w->at += n;
	return n;
}

static bool
policy_is_word(const char *word, size_t n, const char *what)
{
	return strlen(what) == n && memcmp(word, what, n) == 0;
}

int
policy_read(const char *text, struct policy *out, struct error *err)
{
	struct reading r = { .has_package = false };
	unsigned int line = 1;

	for (;; line++) {
		size_t n = strcspn(text, "\n");
		const char *why = policy_read_line(&r, text, n);

		if (why)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid policy, line %u: %s: %.*s", line, why,
					 (int)(n < QUOTED_MAX ? n : QUOTED_MAX), text);
		if (!text[n])
			break;
		text += n + 1;
	}
	if (!r.has_package)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid policy: missing `package agent_policy`");
	*out = r.policy;
	return 0;
}

/* Parses a line. Returns NULL, or what is wrong with it. */
static const char *
policy_read_line(struct reading *r, const char *line, size_t len)
{
	static const char *const package[] = { "agent_policy" };
	static const char *const imports[] = { "rego.v1",
					       "future.keywords",
					       "future.keywords.in",
					       "future.keywords.if",
					       "future.keywords.every",
					       "future.keywords.contains" };
	const char *comment = memchr(line, '#', len);
	struct words w = { .at = line, .end = comment ? comment : line + len };
	const char *word;
	size_t n = policy_next_word(&w, &word);

	if (n == 0 && w.at == w.end)
		return NULL;
	if (!r->has_package) {
		r->has_package = policy_is_word(word, n, "package") &&
				 policy_ends_with(&w, package, ARRAY_LEN(package));
		return r->has_package ? NULL : "expected `package agent_policy` first";
	}
	if (policy_is_word(word, n, "import"))
		return policy_ends_with(&w, imports, ARRAY_LEN(imports)) ? NULL
									 : "unsupported import";
	if (policy_is_word(word, n, "default"))
		return policy_read_default(r, &w);
	return "rules are not supported, only `default NAME := true` or `false`";
}

/* Returns whether the rest of the line is exactly one word, which is in `what`. */
static bool
policy_ends_with(struct words *w, const char *const *what, size_t n_what)
{
	const char *word, *rest;
	size_t n = policy_next_word(w, &word);

	/* A lone colon is neither a word nor the end. */
	if (policy_next_word(w, &rest) > 0 || w->at < w->end)
		return false;
	for (size_t i = 0; i < n_what; i++) {
		if (policy_is_word(word, n, what[i]))
			return true;
	}
	return false;
}

static bool
policy_is_name(const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = word[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return n > 0;
}

/* Parses `default NAME := true`. */
static const char *
policy_read_default(struct reading *r, struct words *w)
{
	static const char *const yes[] = { "true" }, *const no[] = { "false" };
	const char *name, *sign;
	size_t n = policy_next_word(w, &name);
	size_t n_sign = policy_next_word(w, &sign);
	struct words value = *w;
	bool is_true = policy_ends_with(&value, yes, ARRAY_LEN(yes));

	if (!policy_is_name(name, n) ||
	    !(policy_is_word(sign, n_sign, ":=") || policy_is_word(sign, n_sign, "=")) ||
	    (!is_true && !policy_ends_with(w, no, ARRAY_LEN(no))))
		return "expected `default NAME := true` or `false`";
	return policy_read_note(r, name, n, is_true) ? NULL : "duplicate default";
}

/* Records a default. Names of unknown messages are accepted and have no effect. Returns false if
 * the name has a default already. */
static bool
policy_read_note(struct reading *r, const char *name, size_t n, bool value)
{
	if (policy_is_word(name, n, ALLOW_FAILS)) {
		if (r->has_failing)
			return false;
		r->has_failing = true;
		r->policy.allow_failing = value;
		return true;
	}
	for (unsigned int i = 0; i < service->n_methods; i++) {
		if (!policy_is_word(name, n, service->methods[i].input->short_name))
			continue;
		if (r->has_line[i])
			return false;
		r->has_line[i] = true;
		r->policy.allowed[i] = value;
	}
	return true;
}
