/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of Kubernetes' objects; see field.h. */
#include "ctl/pod/field.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/spec/quantity.h"

int
field_wrong(struct field_reader *r, const struct field *f, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!f->node)
		return error_set(r->err, ERROR_INVALID_ARGUMENT, "%s: %s", f->path, text);
	return error_set(r->err, ERROR_INVALID_ARGUMENT, "line %u: %s%s%s",
			 f->node->key_line ? f->node->key_line : f->node->line, f->path,
			 f->path[0] ? ": " : "", text);
}

int
field_nomem(struct field_reader *r)
{
	return error_nomem(r->err, "reading a pod");
}

int
field_ignore(struct field_reader *r, const char *path)
{
	char *general = arena_strdup(r->arena, path), *to = general;

	if (!general)
		return field_nomem(r);
	/* containers[3] -> containers[] */
	for (const char *from = path; *from; from++) {
		*to++ = *from;
		if (*from == '[')
			from += strspn(from + 1, "0123456789");
	}
	*to = '\0';
	for (size_t i = 0; i < r->n_ignored; i++)
		if (strcmp(r->ignored[i], general) == 0)
			return 0;
	if (r->n_ignored == r->max_ignored) {
		size_t max = 2 * r->max_ignored + 32;
		const char **more = arena_zalloc(r->arena, max, sizeof(*more));

		if (!more)
			return field_nomem(r);
		for (size_t i = 0; i < r->n_ignored; i++)
			more[i] = r->ignored[i];
		r->ignored = more;
		r->max_ignored = max;
	}
	r->ignored[r->n_ignored++] = general;
	return 0;
}

/* Returns whether a list of words separated by blanks has the word. */
static bool
field_is_among(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; at && *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");

		if (length == n && strncmp(at, word, n) == 0)
			return true;
		at += length;
	}
	return false;
}

int
field_check_map(struct field_reader *r, const struct field *f, const struct field_keys *keys)
{
	struct field key;

	if (!f->node)
		return 0;
	if (f->node->kind != YAML_MAP)
		return field_wrong(r, f, "must be an object");
	for (const struct yaml_node *e = f->node->first; e; e = e->next) {
		if (field_is_among(keys->known, e->key))
			continue;
		field_get(f, e->key, &key);
		if (!key.node)
			continue;
		if (field_is_among(keys->ignored, e->key)) {
			if (field_ignore(r, key.path) < 0)
				return -1;
			continue;
		}
		return field_wrong(r, &key, "%s",
				   field_is_among(keys->refused, e->key) ? "not supported"
									 : "unknown field");
	}
	return 0;
}

bool
field_has(const struct field *map, const char *key)
{
	struct field f;

	field_get(map, key, &f);
	return f.node != NULL;
}

void
field_get(const struct field *map, const char *key, struct field *out)
{
	const struct yaml_node *node =
		map->node && map->node->kind == YAML_MAP ? yaml_get(map->node, key) : NULL;

	/* Not snprintf: *out may be *map. */
	out->node = node && !yaml_is_null(node) ? node : NULL;
	if (out != map)
		(void)snprintf(out->path, sizeof(out->path), "%s", map->path);
	if (out->path[0])
		(void)strncat(out->path, ".", sizeof(out->path) - strlen(out->path) - 1);
	(void)strncat(out->path, key, sizeof(out->path) - strlen(out->path) - 1);
}

void
field_element(const struct field *list, const struct yaml_node *node, size_t i, struct field *out)
{
	out->node = node;
	(void)snprintf(out->path, sizeof(out->path), "%.180s[%zu]", list->path, i);
}

int
field_check_list(struct field_reader *r, const struct field *f, size_t max)
{
	if (!f->node)
		return 0;
	if (f->node->kind != YAML_LIST)
		return field_wrong(r, f, "must be a list");
	if (f->node->n > max)
		return field_wrong(r, f, "more than %zu elements", max);
	return 0;
}

int
field_check_any_map(struct field_reader *r, const struct field *f, size_t max)
{
	if (!f->node)
		return 0;
	if (f->node->kind != YAML_MAP)
		return field_wrong(r, f, "must be an object");
	if (f->node->n > max)
		return field_wrong(r, f, "more than %zu keys", max);
	return 0;
}

/* Returns whether a scalar without quotes is a string for Kubernetes, which reads YAML as JSON. */
static bool
field_is_plain_string(const struct yaml_node *node)
{
	static const char *const words[] = { "true", "True", "TRUE", "false", "False", "FALSE",
					     "yes",  "Yes",  "YES",  "no",    "No",    "NO",
					     "on",   "On",   "ON",   "off",   "Off",   "OFF" };
	int64_t number;
	char *end;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(node->text, words[i]) == 0)
			return false;
	if (yaml_int(node, &number))
		return false;
	/* 1.5, 1e3 */
	if (!strchr("+-.0123456789", node->text[0]))
		return true;
	(void)strtod(node->text, &end);
	return end == node->text || *end;
}

const char *
field_string(struct field_reader *r, const struct field *f)
{
	if (f->node->kind == YAML_LIST || f->node->kind == YAML_MAP || yaml_is_null(f->node)) {
		(void)field_wrong(r, f, "must be a string");
		return NULL;
	}
	if (f->node->kind == YAML_PLAIN && !field_is_plain_string(f->node)) {
		(void)field_wrong(r, f, "must be a string: put %.40s into quotes", f->node->text);
		return NULL;
	}
	return f->node->text;
}

int
field_text(struct field_reader *r, const struct field *map, const char *key, const char **out)
{
	struct field f;
	const char *text;

	field_get(map, key, &f);
	if (!f.node)
		return 0;
	text = field_string(r, &f);
	if (!text)
		return -1;
	*out = text;
	return 0;
}

int
field_required(struct field_reader *r, const struct field *map, const char *key, const char **out)
{
	struct field f;

	*out = NULL;
	if (field_text(r, map, key, out) < 0)
		return -1;
	field_get(map, key, &f);
	if (!*out)
		return field_wrong(r, map, "%s is missing", key);
	return **out ? 0 : field_wrong(r, &f, "must not be empty");
}

int
field_bool(struct field_reader *r, const struct field *map, const char *key, bool *out)
{
	struct field f;

	field_get(map, key, &f);
	if (!f.node)
		return 0;
	if (f.node->kind == YAML_PLAIN && strcasecmp(f.node->text, "true") == 0)
		*out = true;
	else if (f.node->kind == YAML_PLAIN && strcasecmp(f.node->text, "false") == 0)
		*out = false;
	else
		return field_wrong(r, &f, "must be true or false");
	return 0;
}

int
field_number(struct field_reader *r, const struct field *map, const char *key, int64_t min,
	     int64_t max, int64_t *out)
{
	struct field f;
	int64_t value;

	field_get(map, key, &f);
	if (!f.node)
		return 0;
	if (!yaml_int(f.node, &value) || value < min || value > max)
		return field_wrong(r, &f, "must be a number from %lld to %lld", (long long)min,
				   (long long)max);
	*out = value;
	return 0;
}

int
field_quantity(struct field_reader *r, const struct field *map, const char *key, int digits,
	       uint64_t *out)
{
	struct field f;

	field_get(map, key, &f);
	if (!f.node)
		return 0;
	if (!f.node->text || !quantity_parse(f.node->text, digits, INT64_MAX / 1000, out))
		return field_wrong(r, &f, "invalid quantity \"%.40s\"",
				   f.node->text ? f.node->text : "");
	return 0;
}

int
field_words(struct field_reader *r, const struct field *map, const char *key, size_t max,
	    const char ***out, size_t *n)
{
	struct field list, f;
	size_t i = 0;

	field_get(map, key, &list);
	if (field_check_list(r, &list, max) < 0)
		return -1;
	*n = 0;
	*out = arena_zalloc(r->arena, (list.node ? list.node->n : 0) + 1, sizeof(**out));
	if (!*out)
		return field_nomem(r);
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		field_element(&list, e, i++, &f);
		(*out)[*n] = field_string(r, &f);
		if (!(*out)[*n])
			return -1;
		++*n;
	}
	return 0;
}

int
field_choice(struct field_reader *r, const struct field *map, const char *key,
	     const char *const *names, size_t n, unsigned int *out)
{
	char known[200] = "";
	const char *text = NULL;
	struct field f;

	if (field_text(r, map, key, &text) < 0)
		return -1;
	for (size_t i = 0; text && i < n; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (unsigned int)i;
			return 0;
		}
		(void)snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			       i == 0       ? ""
			       : i == n - 1 ? " or "
					    : ", ",
			       names[i]);
	}
	if (!text)
		return 0;
	field_get(map, key, &f);
	return field_wrong(r, &f, "\"%.40s\": expected %s", text, known);
}
