/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON. */
#include "lib/json_put.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/parse.h"

static void json_put_key(struct json_put *w, const char *key);
static void json_put_string(struct json_put *w, const char *s, size_t max);
static size_t json_put_escape(const char **s, char out[8]);
static void json_put_word(struct json_put *w, const char *key, const char *word);

static void
json_put_bytes(struct json_put *w, const char *p, size_t n)
{
	if (w->has_failed)
		return;
	if (w->buf) {
		w->has_failed = buf_append(w->buf, p, n) < 0;
	} else if (n > w->size || w->len > w->size - n) {
		w->has_failed = true;
	} else {
		memcpy(w->text + w->len, p, n);
		w->len += n;
	}
}

void
json_put_begin(struct json_put *w, const char *key, char bracket)
{
	json_put_key(w, key);
	json_put_bytes(w, &bracket, 1);
	w->needs_comma = false;
}

/* Writes the part that precedes a value: a comma if needed, and the key. */
static void
json_put_key(struct json_put *w, const char *key)
{
	if (w->needs_comma)
		json_put_bytes(w, ",", 1);
	w->needs_comma = true;
	if (key) {
		json_put_string(w, key, SIZE_MAX);
		json_put_bytes(w, ":", 1);
	}
}

static void
json_put_string(struct json_put *w, const char *s, size_t max)
{
	char one[8];

	json_put_bytes(w, "\"", 1);
	while (*s && !w->has_failed) {
		size_t n = json_put_escape(&s, one);

		if (n > max)
			break;
		max -= n;
		json_put_bytes(w, one, n);
	}
	json_put_bytes(w, "\"", 1);
}

/* Returns the length of the character at s, or 0 if it must be escaped in a string. */
static size_t
json_put_plain(const char *s)
{
	unsigned char c = (unsigned char)*s;
	size_t n = 1;

	if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
		return 0;
	if (c < 0x80)
		return 1;
	while (n < 4 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return utf8_is_valid(s, n) ? n : 0;
}

/* Moves *s behind one character and returns the length of what stands for it in a string. */
static size_t
json_put_escape(const char **s, char out[8])
{
	unsigned char c = (unsigned char)**s;
	size_t n = json_put_plain(*s);

	if (n) {
		memcpy(out, *s, n);
		*s += n;
		return n;
	}
	++*s;
	if (c == '"' || c == '\\')
		return (size_t)snprintf(out, 8, "\\%c", c);
	if (c == '\n')
		return (size_t)snprintf(out, 8, "\\n");
	/* U+FFFD in the place of what is not UTF-8 */
	return (size_t)snprintf(out, 8, "\\u%04x", c < 0x80 ? c : 0xfffdu);
}

void
json_put_end(struct json_put *w, char bracket)
{
	json_put_bytes(w, &bracket, 1);
	w->needs_comma = true;
}

void
json_put_cut(struct json_put *w, const char *key, const char *value, size_t max)
{
	json_put_key(w, key);
	json_put_string(w, value, max);
}

void
json_put_text(struct json_put *w, const char *key, const char *value)
{
	json_put_cut(w, key, value, SIZE_MAX);
}

void
json_put_bool(struct json_put *w, const char *key, bool value)
{
	json_put_word(w, key, value ? "true" : "false");
}

static void
json_put_word(struct json_put *w, const char *key, const char *word)
{
	json_put_key(w, key);
	json_put_bytes(w, word, strlen(word));
}

void
json_put_i64(struct json_put *w, const char *key, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	json_put_word(w, key, text);
}

void
json_put_u64(struct json_put *w, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	json_put_word(w, key, text);
}

void
json_put_null(struct json_put *w, const char *key)
{
	json_put_word(w, key, "null");
}
