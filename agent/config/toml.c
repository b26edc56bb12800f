/* SPDX-License-Identifier: Apache-2.0 */
/* The TOML parser. A line is read twice: first silently, to check it, and then again to report its
 * values. Nesting and all buffers are bounded. */
#include "agent/config/toml.h"

#include <string.h>

#include "lib/parse.h"

#define DEPTH_MAX 16

struct reader {
	const char *at, *end;
	unsigned int line, errors;
	/* values are not reported */
	bool is_silent;
	const struct toml_events *events;
	/* name of the current table; "" before the first header */
	char table[TOML_KEY_MAX];
	/* that name is too long, or has a part that is not a bare word */
	bool is_foreign;
	char text[TOML_STRING_MAX];
	size_t n_text;
	/* the string does not fit in text */
	bool is_long;
};

/* A dotted key that is being read. */
struct path {
	char text[TOML_KEY_MAX];
	size_t n;
	bool is_foreign;
};

static bool toml_read_line(struct reader *r);
static bool toml_read_header(struct reader *r);
static bool toml_read_pair(struct reader *r, const struct path *table, unsigned int depth);
static bool toml_read_key(struct reader *r, struct path *p);
static bool toml_read_value(struct reader *r, const struct path *path, unsigned int depth);
static bool toml_read_array(struct reader *r, const struct path *path, unsigned int depth);
static bool toml_read_table(struct reader *r, const struct path *path, unsigned int depth);
static bool toml_read_word(struct reader *r, const struct path *path);
static bool toml_read_string(struct reader *r, bool may_be_multi);

/* Reports an error. Returns false, for use in a return statement. */
static bool
toml_fail(struct reader *r, const char *why)
{
	r->errors++;
	r->events->error(r->events->data, r->line, why);
	return false;
}

/* Reports a value. Elements of arrays (path NULL) are not reported. */
static void
toml_report(struct reader *r, const struct path *path, const struct toml_value *value,
	    unsigned int line)
{
	if (path && !r->is_silent)
		r->events->value(r->events->data, path->is_foreign ? "" : path->text, value, line);
}

static char
toml_peek(const struct reader *r)
{
	return r->at < r->end ? *r->at : '\0';
}

/* Skips these bytes if they come next. Returns whether they did. */
static bool
toml_take(struct reader *r, const char *what)
{
	size_t n = strlen(what);

	if ((size_t)(r->end - r->at) < n || memcmp(r->at, what, n) != 0)
		return false;
	r->at += n;
	return true;
}

static void
toml_skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

static void
toml_skip_line(struct reader *r)
{
	while (r->at < r->end && *r->at != '\n')
		r->at++;
}

static bool
toml_take_newline(struct reader *r)
{
	if (!toml_take(r, "\n") && !toml_take(r, "\r\n"))
		return false;
	r->line++;
	return true;
}

/* Skips blanks, line ends and comments, which may be between the elements of an array. */
static void
toml_skip_space(struct reader *r)
{
	for (;;) {
		toml_skip_blanks(r);
		if (toml_peek(r) == '#')
			toml_skip_line(r);
		if (!toml_take_newline(r))
			return;
	}
}

static bool
toml_is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* ---- lines ---- */

unsigned int
toml_read(const char *text, size_t n, const struct toml_events *events)
{
	struct reader r = { .at = text, .end = text + n, .line = 1, .events = events };

	(void)toml_take(&r, "\xef\xbb\xbf");
	for (;;) {
		struct reader begin;

		toml_skip_space(&r);
		if (r.at == r.end)
			return r.errors;
		begin = r;
		r.is_silent = true;
		if (toml_read_line(&r)) {
			r = begin;
			(void)toml_read_line(&r);
			continue;
		}
		r.is_silent = false;
		toml_skip_line(&r);
		if (r.errors >= TOML_ERRORS_MAX) {
			(void)toml_fail(&r, "too many errors, ignoring the rest of the file");
			return r.errors;
		}
	}
}

static bool
toml_read_line(struct reader *r)
{
	struct path table = { .n = strlen(r->table), .is_foreign = r->is_foreign };

	memcpy(table.text, r->table, sizeof(table.text));
	if (!(toml_peek(r) == '[' ? toml_read_header(r) : toml_read_pair(r, &table, 0)))
		return false;
	toml_skip_blanks(r);
	if (toml_peek(r) == '#')
		toml_skip_line(r);
	return r->at == r->end || toml_take_newline(r) ||
	       toml_fail(r, "unexpected text after the value");
}

/* Reads [table] or [[table]], from the bracket on. Values in an array of tables are reported
 * without a key. */
static bool
toml_read_header(struct reader *r)
{
	const struct toml_value value = { .kind = TOML_TABLE };
	bool is_array = toml_take(r, "[[");
	struct path path = { .is_foreign = is_array };

	r->is_foreign = true;
	if (!is_array)
		r->at++;
	if (!toml_read_key(r, &path))
		return false;
	if (!toml_take(r, is_array ? "]]" : "]"))
		return toml_fail(r, "unterminated table header");
	r->is_foreign = path.is_foreign;
	memcpy(r->table, path.text, sizeof(r->table));
	toml_report(r, &path, &value, r->line);
	return true;
}

static bool
toml_read_pair(struct reader *r, const struct path *table, unsigned int depth)
{
	struct path path = { .n = 0 };

	if (table)
		path = *table;
	if (!toml_read_key(r, &path))
		return false;
	if (!toml_take(r, "="))
		return toml_fail(r, "expected `=`");
	toml_skip_blanks(r);
	return toml_read_value(r, table ? &path : NULL, depth);
}

/* ---- keys ---- */

static void
toml_path_add(struct path *p, const char *part, size_t n)
{
	size_t dot = p->n > 0;

	for (size_t i = 0; i < n; i++)
		p->is_foreign |= !toml_is_bare(part[i]);
	if (p->is_foreign || n == 0 || p->n + dot + n >= sizeof(p->text)) {
		p->is_foreign = true;
		return;
	}
	if (dot)
		p->text[p->n++] = '.';
	memcpy(p->text + p->n, part, n);
	p->n += n;
	p->text[p->n] = '\0';
}

static bool
toml_read_part(struct reader *r, struct path *p)
{
	const char *begin = r->at;

	if (toml_peek(r) == '"' || toml_peek(r) == '\'') {
		if (!toml_read_string(r, false))
			return false;
		toml_path_add(p, r->text, r->n_text);
		p->is_foreign |= r->is_long;
		return true;
	}
	while (r->at < r->end && toml_is_bare(*r->at))
		r->at++;
	if (r->at == begin)
		return toml_fail(r, "expected a key");
	toml_path_add(p, begin, (size_t)(r->at - begin));
	return true;
}

/* Reads a key such as a.b."c", and appends it to p. */
static bool
toml_read_key(struct reader *r, struct path *p)
{
	do {
		toml_skip_blanks(r);
		if (!toml_read_part(r, p))
			return false;
		toml_skip_blanks(r);
	} while (toml_take(r, "."));
	return true;
}

/* ---- values ---- */

/* Reads a value. With path NULL it is not reported. */
static bool
toml_read_value(struct reader *r, const struct path *path, unsigned int depth)
{
	struct toml_value value = { .kind = TOML_STRING, .text = r->text };
	unsigned int line = r->line;

	if (depth > DEPTH_MAX)
		return toml_fail(r, "values are nested too deeply");
	switch (toml_peek(r)) {
	case '[':
		return toml_read_array(r, path, depth);
	case '{':
		return toml_read_table(r, path, depth);
	case '"':
	case '\'':
		if (!toml_read_string(r, true))
			return false;
		if (r->is_long)
			value.kind = TOML_OTHER;
		toml_report(r, path, &value, line);
		return true;
	default:
		return toml_read_word(r, path);
	}
}

static bool
toml_read_array(struct reader *r, const struct path *path, unsigned int depth)
{
	const struct toml_value value = { .kind = TOML_OTHER };

	toml_report(r, path, &value, r->line);
	r->at++;
	for (;;) {
		toml_skip_space(r);
		if (toml_take(r, "]"))
			return true;
		if (!toml_read_value(r, NULL, depth + 1))
			return false;
		toml_skip_space(r);
		if (toml_peek(r) != ']' && !toml_take(r, ","))
			return toml_fail(r, "unterminated array");
	}
}

static bool
toml_read_table(struct reader *r, const struct path *path, unsigned int depth)
{
	const struct toml_value value = { .kind = TOML_TABLE };

	toml_report(r, path, &value, r->line);
	r->at++;
	toml_skip_blanks(r);
	if (toml_take(r, "}"))
		return true;
	do {
		if (!toml_read_pair(r, path, depth + 1))
			return false;
		toml_skip_blanks(r);
	} while (toml_take(r, ","));
	return toml_take(r, "}") || toml_fail(r, "unterminated table");
}

/* Copies a word without the underscores between its digits. Returns false for other underscores. */
static bool
toml_drop_underscores(const char *word, size_t n, char *out, size_t size)
{
	size_t len = 0;

	if (n >= size)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (word[i] != '_')
			out[len++] = word[i];
		else if (i == 0 || i + 1 == n || !toml_is_bare(word[i - 1]) ||
			 !toml_is_bare(word[i + 1]) || word[i - 1] == '_' || word[i + 1] == '_')
			return false;
	}
	out[len] = '\0';
	return len > 0;
}

/* Parses a decimal or 0x number. Other notations are not supported. */
static bool
toml_to_integer(const char *word, size_t n, int64_t *out)
{
	char digits[32];
	uint64_t hex;

	if (!toml_drop_underscores(word, n, digits, sizeof(digits)))
		return false;
	if (strncmp(digits, "0x", 2) == 0 && parse_hex(digits, &hex) && hex <= INT64_MAX) {
		*out = (int64_t)hex;
		return true;
	}
	return parse_i64(digits[0] == '+' ? digits + 1 : digits, out);
}

/* Reads a boolean, a number or a date. */
static bool
toml_read_word(struct reader *r, const struct path *path)
{
	struct toml_value value = { .kind = TOML_OTHER };
	const char *begin = r->at;
	size_t n;

	while (r->at < r->end && (toml_is_bare(*r->at) || strchr("+.:", *r->at)) && *r->at)
		r->at++;
	n = (size_t)(r->at - begin);
	if (n == 0)
		return toml_fail(r, "expected a value");
	if (n == 4 && memcmp(begin, "true", n) == 0) {
		value.kind = TOML_BOOL;
		value.boolean = true;
	} else if (n == 5 && memcmp(begin, "false", n) == 0) {
		value.kind = TOML_BOOL;
	} else if (toml_to_integer(begin, n, &value.integer)) {
		value.kind = TOML_INTEGER;
	} else if (!strchr("0123456789+-in", *begin)) {
		return toml_fail(r, "expected a value");
	}
	toml_report(r, path, &value, r->line);
	return true;
}

/* ---- strings ---- */

static void
toml_put(struct reader *r, const char *bytes, size_t n)
{
	if (r->is_long || r->n_text + n >= sizeof(r->text)) {
		r->is_long = true;
		return;
	}
	memcpy(r->text + r->n_text, bytes, n);
	r->n_text += n;
}

static bool
toml_put_character(struct reader *r, uint64_t c)
{
	static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	char utf8[4];

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return toml_fail(r, "escape of an invalid character");
	utf8[0] = (char)(leads[n] | c >> 6 * (n - 1));
	for (size_t i = 1; i < n; i++)
		utf8[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	toml_put(r, utf8, n);
	return true;
}

/* Reads the digits of \uXXXX or \UXXXXXXXX. */
static bool
toml_read_code(struct reader *r, size_t digits)
{
	char hex[9];
	uint64_t c;

	if ((size_t)(r->end - r->at) < digits)
		return toml_fail(r, "invalid digits in an escape");
	memcpy(hex, r->at, digits);
	hex[digits] = '\0';
	if (hex[1] == 'x' || hex[1] == 'X' || !parse_hex(hex, &c))
		return toml_fail(r, "invalid digits in an escape");
	r->at += digits;
	return toml_put_character(r, c);
}

/* Reads an escape after its backslash. */
static bool
toml_read_escape(struct reader *r, bool is_multi)
{
	static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
	const char *found = toml_peek(r) ? strchr(letters, toml_peek(r)) : NULL;

	if (found) {
		r->at++;
		toml_put(r, &bytes[found - letters], 1);
		return true;
	}
	if (toml_peek(r) == 'u' || toml_peek(r) == 'U')
		return toml_read_code(r, *r->at++ == 'u' ? 4 : 8);
	toml_skip_blanks(r);
	if (!is_multi || !toml_take_newline(r))
		return toml_fail(r, "unknown escape");
	do {
		toml_skip_blanks(r);
	} while (toml_take_newline(r));
	return true;
}

/* Reads one character of a string, or one escape. */
static bool
toml_read_character(struct reader *r, bool is_basic, bool is_multi)
{
	unsigned char c;

	if (r->at == r->end)
		return toml_fail(r, "unterminated string");
	if (is_basic && toml_take(r, "\\"))
		return toml_read_escape(r, is_multi);
	if (is_multi && toml_take_newline(r)) {
		toml_put(r, "\n", 1);
		return true;
	}
	c = (unsigned char)*r->at;
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return toml_fail(r, c == '\n' || c == '\r' ? "unterminated string"
							   : "control character in a string");
	toml_put(r, r->at, 1);
	r->at++;
	return true;
}

/* Reads a string from its first quote on into r->text. */
static bool
toml_read_string(struct reader *r, bool may_be_multi)
{
	bool is_basic = toml_peek(r) == '"';
	const char *quote = is_basic ? "\"" : "'";
	const char *three = is_basic ? "\"\"\"" : "'''";
	bool is_multi = toml_take(r, three);

	r->n_text = 0;
	r->is_long = false;
	if (is_multi && !may_be_multi)
		return toml_fail(r, "multi-line string as a key");
	if (is_multi)
		(void)toml_take_newline(r);
	else
		r->at++;
	while (!toml_take(r, is_multi ? three : quote)) {
		if (!toml_read_character(r, is_basic, is_multi))
			return false;
	}
	/* Up to two quotes directly before the three that end it belong to the string. */
	for (int i = 0; is_multi && i < 2 && toml_peek(r) == *quote; i++, r->at++)
		toml_put(r, quote, 1);
	r->text[r->n_text] = '\0';
	return utf8_is_valid(r->text, r->n_text) || r->is_long ||
	       toml_fail(r, "string is not UTF-8");
}
