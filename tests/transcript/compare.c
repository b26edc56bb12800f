/* SPDX-License-Identifier: Apache-2.0 */
/* Compares replies with the transcript. */
#include <stdlib.h>
#include <string.h>

#include "ctl/json/json.h"
#include "tests/transcript/replay.h"

static bool
number_over_0(const json_t *got)
{
	if (json_is_string(got))
		return strtod(json_string_value(got), NULL) > 0;
	return json_is_number(got) && json_number_value(got) > 0;
}

static bool
same_text(const char *want, const json_t *got)
{
	const char *text = json_string_value(got);
	char number[32];

	if (strcmp(want, ">") == 0)
		return number_over_0(got);
	if (strcmp(want, "*") == 0)
		return true;
	if (!text && json_is_integer(got)) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(got));
		text = number;
	}
	if (!text)
		return false;
	return want[0] == '~' ? strstr(text, want + 1) != NULL : strcmp(want, text) == 0;
}

static bool matches(const json_t *want, const json_t *got);

static bool
same_members(const json_t *want, const json_t *got)
{
	json_t *members = (json_t *)(uintptr_t)want;

	if (!json_is_object(got))
		return false;
	for (void *i = json_object_iter(members); i; i = json_object_iter_next(members, i)) {
		const json_t *value = json_object_get(got, json_object_iter_key(i));

		if (!value || !matches(json_object_iter_value(i), value))
			return false;
	}
	return true;
}

/* Returns whether `got` has everything in `want`. */
static bool
matches(const json_t *want, const json_t *got)
{
	if (json_is_string(want))
		return same_text(json_string_value(want), got);
	if (json_is_integer(want) && json_is_string(got))
		return json_integer_value(want) == strtoll(json_string_value(got), NULL, 10);
	if (json_is_object(want))
		return same_members(want, got);
	if (json_is_array(want)) {
		if (json_array_size(want) != json_array_size(got))
			return false;
		for (size_t i = 0; i < json_array_size(want); i++)
			if (!matches(json_array_get(want, i), json_array_get(got, i)))
				return false;
		return true;
	}
	return json_equal(want, got);
}

json_t *
compare_parse(const struct replay *r, const char *text)
{
	json_error_t why;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

	if (!json)
		die(r, "column %d: %s in %s", why.column, why.text, text);
	return json;
}

void
compare_reply(const struct replay *r, const struct pending *p, const char *text)
{
	struct error err = ERROR_INIT;
	json_t *want, *got;

	if (p->is_skipped)
		return;
	if (!p->reply)
		die(r, "%s failed: %s: %s", p->method->name, error_code_name(p->failure.code),
		    p->failure.msg);
	want = compare_parse(r, text);
	got = json_from_message(p->reply, &err);
	if (!got)
		die(r, "%s", err.msg);
	if (!matches(want, got))
		die(r, "%s replied %s\nwanted: %s", p->method->name, json_dumps(got, JSON_COMPACT),
		    text);
	json_decref(want);
	json_decref(got);
}

void
compare_failure(const struct replay *r, const struct pending *p, const char *text)
{
	const char *name = error_code_name(p->failure.code);
	size_t n = strcspn(text, " ");

	if (p->is_skipped)
		return;
	if (p->reply)
		die(r, "%s succeeded\nwanted: %s", p->method->name, text);
	if (strlen(name) != n || strncmp(name, text, n) != 0 ||
	    !strstr(p->failure.msg, text + n + (text[n] == ' ')))
		die(r, "%s failed: %s: %s\nwanted: %s", p->method->name, name, p->failure.msg,
		    text);
}

bool
compare_data(const struct pending *p, const json_t *want)
{
	const char *text = json_string_value(want);
	size_t n = json_string_length(want);

	if (!text)
		return false;
	if (n > 0 && text[0] == '~')
		return n == 1 || (p->data && memmem(p->data, p->len, text + 1, n - 1));
	return p->len == n && (n == 0 || memcmp(p->data, text, n) == 0);
}
