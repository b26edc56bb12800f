/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML reader: a recursive descent over the text, in which the column of a token decides to
 * which list or map it belongs. The text of a scalar is read twice: to learn its length, and then
 * to copy it.
 */
#include "lib/yaml.h"

#include <string.h>

#include "lib/parse.h"

struct yaml {
	struct arena *arena;
	const char *at, *end;
	/* The first character of the current line. */
	const char *start;
	unsigned int line, depth;
	/* Inside brackets, indentation has no meaning. */
	unsigned int flow;
	struct error *err;
};

/* The text of a scalar. */
struct yaml_text {
	/* NULL: characters are only counted. */
	char *out;
	size_t n;
};

/* Reads a scalar of a form, which belongs to a block at column `parent`. */
typedef bool yaml_scalar_fn(struct yaml *y, int parent, struct yaml_text *t);

static struct yaml_node *yaml_read_block(struct yaml *y, int parent);
static struct yaml_node *yaml_read_list(struct yaml *y, int column);
static struct yaml_node *yaml_read_map(struct yaml *y, int column);
static struct yaml_node *yaml_read_value(struct yaml *y, int parent);
static struct yaml_node *yaml_read_flow(struct yaml *y);
static bool yaml_scan_plain(struct yaml *y, int parent, struct yaml_text *t);
static bool yaml_scan_quoted(struct yaml *y, int parent, struct yaml_text *t);
static bool yaml_scan_block(struct yaml *y, int parent, struct yaml_text *t);

/* Sets the error. Returns NULL, for use in a return statement. */
static void *
yaml_fail(const struct yaml *y, const char *why)
{
	error_set(y->err, ERROR_INVALID_ARGUMENT, "line %u: %s", y->line, why);
	return NULL;
}

static void *
yaml_nomem(const struct yaml *y)
{
	error_set(y->err, ERROR_RESOURCE_EXHAUSTED, "line %u: the document is too large", y->line);
	return NULL;
}

/* ---- characters ---- */

/* Returns the character i bytes ahead; '\0' past the end, since the text has none. */
static char
yaml_peek(const struct yaml *y, size_t i)
{
	return (size_t)(y->end - y->at) > i ? y->at[i] : '\0';
}

static bool
yaml_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool
yaml_is_space(char c)
{
	return yaml_is_blank(c) || c == '\n' || c == '\0';
}

static bool
yaml_is_bracket(char c)
{
	return c != '\0' && strchr(",[]{}", c);
}

static void
yaml_skip_blanks(struct yaml *y)
{
	while (yaml_is_blank(yaml_peek(y, 0)))
		y->at++;
}

/* Skips the rest of the line, and its end. */
static void
yaml_skip_line(struct yaml *y)
{
	while (y->at < y->end && *y->at != '\n')
		y->at++;
	if (y->at == y->end)
		return;
	y->start = ++y->at;
	y->line++;
}

/* Returns whether nothing but blanks and a comment is left on the line. */
static bool
yaml_is_end_of_line(const struct yaml *y)
{
	const char *p = y->at;

	while (p < y->end && yaml_is_blank(*p))
		p++;
	return p == y->end || *p == '\n' ||
	       (*p == '#' && (p == y->start || yaml_is_blank(p[-1]) || p > y->at));
}

/* Skips blanks, comments and ends of lines. Returns false for a tab in the indentation. */
static bool
yaml_skip(struct yaml *y)
{
	for (;;) {
		const char *from = y->at;

		yaml_skip_blanks(y);
		if (y->at < y->end && yaml_is_end_of_line(y)) {
			yaml_skip_line(y);
			continue;
		}
		if (y->at < y->end && !y->flow && from == y->start &&
		    memchr(from, '\t', (size_t)(y->at - from)))
			return yaml_fail(y, "a tab in the indentation");
		return true;
	}
}

/* Returns whether a line "---" or "..." begins here. */
static bool
yaml_is_marker(const struct yaml *y)
{
	return y->at == y->start && (size_t)(y->end - y->at) >= 3 &&
	       (memcmp(y->at, "---", 3) == 0 || memcmp(y->at, "...", 3) == 0) &&
	       yaml_is_space(yaml_peek(y, 3));
}

/* Returns the column of the next token; -1 at the end of the document. */
static int
yaml_column(const struct yaml *y)
{
	return y->at == y->end || yaml_is_marker(y) ? -1 : (int)(y->at - y->start);
}

/* ---- nodes ---- */

static struct yaml_node *
yaml_new(struct yaml *y, enum yaml_kind kind)
{
	struct yaml_node *node = arena_zalloc(y->arena, 1, sizeof(*node));

	if (!node)
		return yaml_nomem(y);
	node->kind = kind;
	node->line = y->line;
	return node;
}

/* Returns a new list or map for the block or the brackets that are about to be read. */
static struct yaml_node *
yaml_enter(struct yaml *y, enum yaml_kind kind)
{
	if (y->depth++ == YAML_DEPTH_MAX)
		return yaml_fail(y, "too many levels");
	return yaml_new(y, kind);
}

struct yaml_tail {
	struct yaml_node *parent, **next;
};

static void
yaml_append(struct yaml_tail *tail, struct yaml_node *node)
{
	*tail->next = node;
	tail->next = &node->next;
	tail->parent->n++;
}

static bool
yaml_check_key(const struct yaml *y, const struct yaml_node *map, const char *key)
{
	if (map->n == YAML_KEYS_MAX)
		return yaml_fail(y, "too many keys in one map");
	if (!yaml_get(map, key))
		return true;
	error_set(y->err, ERROR_INVALID_ARGUMENT, "line %u: \"%.64s\" is given twice", y->line,
		  key);
	return false;
}

/* Reads the text of a scalar. Returns NULL and sets the error if it is invalid. */
static char *
yaml_read_text(struct yaml *y, int parent, yaml_scalar_fn *scan)
{
	const struct yaml begin = *y;
	struct yaml_text text = { 0 };

	if (!scan(y, parent, &text))
		return NULL;
	*y = begin;
	text.out = arena_alloc(y->arena, text.n + 1);
	if (!text.out)
		return yaml_nomem(y);
	text.n = 0;
	(void)scan(y, parent, &text);
	text.out[text.n] = '\0';
	return text.out;
}

static struct yaml_node *
yaml_read_scalar(struct yaml *y, int parent, enum yaml_kind kind, yaml_scalar_fn *scan)
{
	struct yaml_node *node = yaml_new(y, kind);

	if (node && !(node->text = yaml_read_text(y, parent, scan)))
		return NULL;
	return node;
}

static void
yaml_put(struct yaml_text *t, char c, size_t times)
{
	for (; times > 0; times--) {
		if (t->out)
			t->out[t->n] = c;
		t->n++;
	}
}

/* ---- the document ---- */

/* Refuses characters that have no place in a text. */
static bool
yaml_check_characters(const char *text, size_t size, struct error *err)
{
	if (!utf8_is_valid(text, size)) {
		error_set(err, ERROR_INVALID_ARGUMENT, "not valid UTF-8");
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\t' && c != '\n' &&
		     !(c == '\r' && i + 1 < size && text[i + 1] == '\n')) ||
		    c == 0x7f) {
			error_set(err, ERROR_INVALID_ARGUMENT,
				  "invalid control character at byte %zu", i);
			return false;
		}
	}
	return true;
}

struct yaml_node *
yaml_parse(struct arena *arena, const char *text, size_t size, struct error *err)
{
	struct yaml y = { .arena = arena, .at = text, .end = text + size, .line = 1, .err = err };
	struct yaml_node *root;

	if (!yaml_check_characters(text, size, err))
		return NULL;
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		y.at += 3;
	y.start = y.at;
	if (!yaml_skip(&y))
		return NULL;
	if (yaml_peek(&y, 0) == '%' && y.at == y.start)
		return yaml_fail(&y, "directives are not supported");
	if (yaml_is_marker(&y) && *y.at == '-')
		y.at += 3;
	root = yaml_read_block(&y, -1);
	if (!root || !yaml_skip(&y))
		return NULL;
	if (yaml_is_marker(&y) && *y.at == '.') {
		y.at += 3;
		if (!yaml_skip(&y))
			return NULL;
	}
	if (yaml_is_marker(&y))
		return yaml_fail(&y, "more than one document");
	return y.at == y.end ? root : yaml_fail(&y, "unexpected text");
}

/* ---- blocks ---- */

/* Returns whether an element of a list begins here. */
static bool
yaml_is_element(const struct yaml *y)
{
	return yaml_peek(y, 0) == '-' && yaml_is_space(yaml_peek(y, 1));
}

/* Returns whether a key and its colon begin here, on one line. */
static bool
yaml_is_key(const struct yaml *y)
{
	const char *p = y->at;
	char quote = yaml_peek(y, 0);

	if (quote == '[' || quote == '{')
		return false;
	if (quote == '"' || quote == '\'') {
		for (p++; p < y->end && *p != '\n'; p++) {
			bool is_double =
				*p == quote && quote == '\'' && p + 1 < y->end && p[1] == quote;

			if (*p == quote && !is_double)
				break;
			if (p + 1 < y->end && (is_double || (*p == '\\' && quote == '"')))
				p++;
		}
		if (p == y->end || *p != quote)
			return false;
		p++;
		while (p < y->end && yaml_is_blank(*p))
			p++;
		return p < y->end && *p == ':' && (p + 1 == y->end || yaml_is_space(p[1]));
	}
	for (; p < y->end && *p != '\n'; p++) {
		if (*p == ':' && (p + 1 == y->end || yaml_is_space(p[1])))
			return true;
		if (*p == '#' && p > y->at && yaml_is_blank(p[-1]))
			return false;
	}
	return false;
}

/* Reads what begins at the next token, at a column to the right of the block around it. */
static struct yaml_node *
yaml_read_at(struct yaml *y, int column, int parent)
{
	struct yaml_node *node;

	if (yaml_is_element(y))
		node = yaml_read_list(y, column);
	else if (yaml_is_key(y))
		node = yaml_read_map(y, column);
	else
		return yaml_read_value(y, parent);
	y->depth--;
	return node;
}

/* Reads what follows, if it is to the right of the block around it. */
static struct yaml_node *
yaml_read_block(struct yaml *y, int parent)
{
	int column;

	if (!yaml_skip(y))
		return NULL;
	column = yaml_column(y);
	return column > parent ? yaml_read_at(y, column, parent) : yaml_new(y, YAML_NULL);
}

/* Skips to the next element of a block at a column. Returns 1 if there is a token at this column, 0
 * if the block has ended, or -1 and sets the error. */
static int
yaml_next(struct yaml *y, int column)
{
	if (!yaml_skip(y))
		return -1;
	if (yaml_column(y) <= column)
		return yaml_column(y) == column;
	(void)yaml_fail(y, "unexpected indentation");
	return -1;
}

static struct yaml_node *
yaml_read_list(struct yaml *y, int column)
{
	struct yaml_node *list = yaml_enter(y, YAML_LIST), *item;
	struct yaml_tail tail = { list, list ? &list->first : NULL };
	int more = 1;

	if (!list)
		return NULL;
	while (more > 0 && yaml_is_element(y)) {
		y->at++;
		while (yaml_peek(y, 0) == ' ')
			y->at++;
		if (yaml_is_end_of_line(y))
			item = yaml_read_block(y, column);
		else if (yaml_peek(y, 0) == '\t')
			return yaml_fail(y, "a tab after \"-\"");
		else
			item = yaml_read_at(y, yaml_column(y), column);
		if (!item)
			return NULL;
		yaml_append(&tail, item);
		more = yaml_next(y, column);
	}
	return more < 0 ? NULL : list;
}

/* Reads a key up to its colon. */
static const char *
yaml_read_key(struct yaml *y)
{
	char c = yaml_peek(y, 0);
	const char *begin = y->at, *end, *key;

	if (c == '"' || c == '\'') {
		key = yaml_read_text(y, 0, yaml_scan_quoted);
		yaml_skip_blanks(y);
		return key;
	}
	if (c == ':' || yaml_is_bracket(c) || (c == '?' && yaml_is_space(yaml_peek(y, 1))) ||
	    strchr("#&*!|>%@`", c))
		return yaml_fail(y, "invalid key: only plain and quoted text is supported");
	while (yaml_peek(y, 0) != ':' || !yaml_is_space(yaml_peek(y, 1)))
		y->at++;
	end = y->at;
	while (yaml_is_blank(end[-1]))
		end--;
	key = arena_memdup(y->arena, begin, (size_t)(end - begin) + 1);
	if (!key)
		return yaml_nomem(y);
	((char *)(uintptr_t)key)[end - begin] = '\0';
	return key;
}

static struct yaml_node *
yaml_read_map(struct yaml *y, int column)
{
	struct yaml_node *map = yaml_enter(y, YAML_MAP), *value;
	struct yaml_tail tail = { map, map ? &map->first : NULL };
	int more = 1;

	while (map && more > 0) {
		const char *key;

		if (!yaml_is_key(y))
			return yaml_fail(y, "expected a key and a colon");
		key = yaml_read_key(y);
		if (!key || !yaml_check_key(y, map, key))
			return NULL;
		/* the colon */
		y->at++;
		if (!yaml_is_end_of_line(y)) {
			yaml_skip_blanks(y);
			value = yaml_read_value(y, column);
		} else {
			if (!yaml_skip(y))
				return NULL;
			/* The elements of a list may be as far to the left as its key. */
			if (yaml_column(y) == column && yaml_is_element(y)) {
				value = yaml_read_list(y, column);
				y->depth--;
			} else {
				value = yaml_read_block(y, column);
			}
		}
		if (!value)
			return NULL;
		value->key = key;
		yaml_append(&tail, value);
		more = yaml_next(y, column);
	}
	return more < 0 ? NULL : map;
}

/* Reads a scalar, or a list or map in brackets, up to the end of its last line. */
static struct yaml_node *
yaml_read_value(struct yaml *y, int parent)
{
	struct yaml_node *node;

	switch (yaml_peek(y, 0)) {
	case '|':
	case '>':
		return yaml_read_scalar(y, parent, YAML_QUOTED, yaml_scan_block);
	case '[':
	case '{':
		node = yaml_read_flow(y);
		break;
	case '"':
	case '\'':
		node = yaml_read_scalar(y, parent, YAML_QUOTED, yaml_scan_quoted);
		break;
	default:
		return yaml_read_scalar(y, parent, YAML_PLAIN, yaml_scan_plain);
	}
	if (node && !yaml_is_end_of_line(y))
		return yaml_fail(y, "unexpected text after a value");
	return node;
}

/* ---- brackets ---- */

/* Reads a key of a map in brackets up to its colon. */
static const char *
yaml_read_flow_key(struct yaml *y)
{
	char c = yaml_peek(y, 0);
	const char *key =
		yaml_read_text(y, -1, c == '"' || c == '\'' ? yaml_scan_quoted : yaml_scan_plain);

	if (!key || !yaml_skip(y))
		return NULL;
	if (yaml_peek(y, 0) != ':')
		return yaml_fail(y, "expected a colon after a key");
	y->at++;
	return key;
}

/* Reads the elements of a list or a map, after its opening bracket. */
static bool
yaml_read_elements(struct yaml *y, struct yaml_node *node, char closing)
{
	struct yaml_tail tail = { node, &node->first };

	for (;;) {
		struct yaml_node *item;
		const char *key = NULL;
		char c;

		if (!yaml_skip(y))
			return false;
		if (yaml_peek(y, 0) == closing)
			break;
		if (closing == '}') {
			key = yaml_read_flow_key(y);
			if (!key || !yaml_check_key(y, node, key) || !yaml_skip(y))
				return false;
		}
		c = yaml_peek(y, 0);
		item = key && (c == ',' || c == closing) ? yaml_new(y, YAML_NULL)
							 : yaml_read_flow(y);
		if (!item || !yaml_skip(y))
			return false;
		item->key = key;
		yaml_append(&tail, item);
		if (yaml_peek(y, 0) == closing)
			break;
		if (yaml_peek(y, 0) != ',')
			return yaml_fail(y, closing == '}' ? "expected , or }" : "expected , or ]");
		y->at++;
	}
	/* the bracket */
	y->at++;
	return true;
}

/* Reads a value inside brackets, or one that begins with a bracket. */
static struct yaml_node *
yaml_read_flow(struct yaml *y)
{
	char c = yaml_peek(y, 0);
	struct yaml_node *node;

	if (c == '"' || c == '\'')
		return yaml_read_scalar(y, -1, YAML_QUOTED, yaml_scan_quoted);
	if (c != '[' && c != '{')
		return yaml_read_scalar(y, -1, YAML_PLAIN, yaml_scan_plain);
	node = yaml_enter(y, c == '[' ? YAML_LIST : YAML_MAP);
	if (!node)
		return NULL;
	y->at++;
	y->flow++;
	if (!yaml_read_elements(y, node, c == '[' ? ']' : '}'))
		return NULL;
	y->flow--;
	y->depth--;
	return node;
}

/* ---- scalars ---- */

static bool
yaml_check_plain(const struct yaml *y)
{
	char c = yaml_peek(y, 0), next = yaml_peek(y, 1);

	if (c == '&' || c == '*' || c == '!')
		return yaml_fail(y, "anchors, aliases and tags are not supported");
	if (c == '\0')
		return yaml_fail(y, "the document ends too early");
	if (strchr(",[]{}#|>'\"%@`", c) ||
	    (strchr("-?:", c) && (yaml_is_space(next) || (y->flow && yaml_is_bracket(next)))))
		return yaml_fail(y, "a value may not begin like this");
	return true;
}

/* Reads the part of a plain scalar that is on this line. Returns 1 if it may go on in the next one,
 * 0 if not, or -1 and sets the error. */
static int
yaml_scan_plain_line(struct yaml *y, struct yaml_text *t)
{
	const char *blanks = y->at;

	for (; y->at < y->end && *y->at != '\n'; y->at++) {
		char c = *y->at, next = yaml_peek(y, 1);

		if (yaml_is_blank(c))
			continue;
		if (c == '#' && y->at > y->start && yaml_is_blank(y->at[-1]))
			return 0;
		if (y->flow && yaml_is_bracket(c))
			return 0;
		if (c == ':' && (yaml_is_space(next) || (y->flow && yaml_is_bracket(next)))) {
			if (y->flow)
				return 0;
			(void)yaml_fail(y, "a colon in a value: it needs quotes");
			return -1;
		}
		for (; blanks < y->at; blanks++)
			yaml_put(t, *blanks, 1);
		yaml_put(t, c, 1);
		blanks = y->at + 1;
	}
	return !y->flow;
}

/* Skips the end of a line and the empty lines after it, up to the text of a further line of the
 * same scalar. Returns the number of empty lines. */
static size_t
yaml_fold(struct yaml *y)
{
	size_t empty = 0;

	for (;;) {
		yaml_skip_line(y);
		while (yaml_peek(y, 0) == ' ')
			y->at++;
		if (y->at == y->end || (*y->at != '\n' && !yaml_is_blank(*y->at)))
			return empty;
		yaml_skip_blanks(y);
		if (y->at == y->end || *y->at != '\n')
			return empty;
		empty++;
	}
}

static bool
yaml_scan_plain(struct yaml *y, int parent, struct yaml_text *t)
{
	if (!yaml_check_plain(y))
		return false;
	for (;;) {
		struct yaml end;
		size_t empty;
		int more = yaml_scan_plain_line(y, t);

		if (more <= 0)
			return more == 0;
		end = *y;
		empty = yaml_fold(y);
		if (yaml_column(y) <= parent || *y->at == '#') {
			*y = end;
			return true;
		}
		yaml_put(t, empty ? '\n' : ' ', empty ? empty : 1);
	}
}

/* Puts a character as UTF-8. */
static void
yaml_put_utf8(struct yaml_text *t, uint32_t c)
{
	if (c < 0x80) {
		yaml_put(t, (char)c, 1);
		return;
	}
	if (c < 0x800) {
		yaml_put(t, (char)(0xc0 | c >> 6), 1);
	} else {
		if (c < 0x10000) {
			yaml_put(t, (char)(0xe0 | c >> 12), 1);
		} else {
			yaml_put(t, (char)(0xf0 | c >> 18), 1);
			yaml_put(t, (char)(0x80 | (c >> 12 & 0x3f)), 1);
		}
		yaml_put(t, (char)(0x80 | (c >> 6 & 0x3f)), 1);
	}
	yaml_put(t, (char)(0x80 | (c & 0x3f)), 1);
}

/* Reads n hexadecimal digits. */
static bool
yaml_scan_hex(struct yaml *y, size_t n, uint32_t *out)
{
	char digits[9] = "";
	uint64_t value;

	if ((size_t)(y->end - y->at) < n)
		return false;
	memcpy(digits, y->at, n);
	if (digits[0] == '0' && (digits[1] | 0x20) == 'x')
		return false;
	if (!parse_hex(digits, &value))
		return false;
	y->at += n;
	*out = (uint32_t)value;
	return true;
}

/* Reads an escape after its backslash. */
static bool
yaml_scan_escape(struct yaml *y, struct yaml_text *t)
{
	static const struct {
		char name;
		uint32_t value;
	} escapes[] = {
		{ 'a', '\a' },   { 'b', '\b' },   { 't', '\t' },  { '\t', '\t' }, { 'n', '\n' },
		{ 'v', '\v' },   { 'f', '\f' },   { 'r', '\r' },  { 'e', 0x1b },  { ' ', ' ' },
		{ '"', '"' },    { '/', '/' },    { '\\', '\\' }, { 'N', 0x85 },  { '_', 0xa0 },
		{ 'L', 0x2028 }, { 'P', 0x2029 },
	};
	char c = yaml_peek(y, 0);
	size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t value = 0, low;

	y->at++;
	for (size_t i = 0; !digits && i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		if (escapes[i].name == c) {
			yaml_put_utf8(t, escapes[i].value);
			return true;
		}
	}
	if (!digits || !yaml_scan_hex(y, digits, &value))
		return yaml_fail(y, "invalid escape");
	/* JSON writes characters beyond 16 bits as two. */
	if (digits == 4 && value >= 0xd800 && value < 0xdc00 && yaml_peek(y, 0) == '\\' &&
	    yaml_peek(y, 1) == 'u') {
		y->at += 2;
		if (!yaml_scan_hex(y, 4, &low) || low < 0xdc00 || low > 0xdfff)
			return yaml_fail(y, "invalid escape");
		value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
	}
	if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return yaml_fail(y, "invalid character in an escape");
	yaml_put_utf8(t, value);
	return true;
}

static bool
yaml_scan_quoted(struct yaml *y, int parent, struct yaml_text *t)
{
	const struct yaml begin = *y;
	char quote = *y->at++;
	const char *blanks = y->at;

	(void)parent;
	while (y->at < y->end) {
		char c = *y->at;

		if (c == '\n') {
			size_t empty = yaml_fold(y);

			/* Blanks at the end of a line are not part of the text. */
			yaml_put(t, empty ? '\n' : ' ', empty ? empty : 1);
			yaml_skip_blanks(y);
			blanks = y->at;
			continue;
		}
		if (yaml_is_blank(c)) {
			y->at++;
			continue;
		}
		for (; blanks < y->at; blanks++)
			yaml_put(t, *blanks, 1);
		y->at++;
		if (c == '\\' && quote == '"') {
			if (yaml_peek(y, 0) == '\r' && yaml_peek(y, 1) == '\n')
				y->at++;
			if (yaml_peek(y, 0) == '\n') {
				yaml_put(t, '\n', yaml_fold(y));
				yaml_skip_blanks(y);
			} else if (!yaml_scan_escape(y, t)) {
				return false;
			}
		} else if (c != quote) {
			yaml_put(t, c, 1);
		} else if (quote == '\'' && yaml_peek(y, 0) == quote) {
			yaml_put(t, quote, 1);
			y->at++;
		} else {
			return true;
		}
		blanks = y->at;
	}
	return yaml_fail(&begin, "a quote without its end");
}

/* The head of a block scalar. */
struct yaml_block {
	bool is_folded;
	/* '-': no end of line at the end; '+': all of them; '\0': one */
	char chomp;
	/* 0: that of the first line */
	int indent;
};

static bool
yaml_scan_block_head(struct yaml *y, int parent, struct yaml_block *b)
{
	*b = (struct yaml_block){ .is_folded = *y->at++ == '>' };
	for (;; y->at++) {
		char c = yaml_peek(y, 0);

		if ((c == '+' || c == '-') && !b->chomp)
			b->chomp = c;
		else if (c >= '1' && c <= '9' && !b->indent)
			b->indent = (parent < 0 ? 0 : parent) + (c - '0');
		else
			break;
	}
	if (!yaml_is_end_of_line(y))
		return yaml_fail(y, "unexpected text after | or >");
	yaml_skip_line(y);
	return true;
}

static bool
yaml_scan_block(struct yaml *y, int parent, struct yaml_text *t)
{
	struct yaml_block b;
	/* The ends of lines that are not in the text yet. */
	size_t ends = 0;
	/* The former line begins with a blank, which keeps its end. */
	bool was_spaced = true;
	bool is_first = true;

	if (!yaml_scan_block_head(y, parent, &b))
		return false;
	while (y->at < y->end) {
		int column;
		bool is_spaced;

		while (yaml_peek(y, 0) == ' ' && (!b.indent || y->at - y->start < b.indent))
			y->at++;
		column = (int)(y->at - y->start);
		if (yaml_peek(y, 0) == '\n' ||
		    (yaml_peek(y, 0) == '\r' && yaml_peek(y, 1) == '\n')) {
			ends++;
			yaml_skip_line(y);
			continue;
		}
		if (y->at == y->end || column <= parent || yaml_is_marker(y) ||
		    (b.indent && column < b.indent)) {
			y->at = y->start;
			break;
		}
		if (!b.indent)
			b.indent = column;
		is_spaced = yaml_is_blank(*y->at);
		if (b.is_folded && !is_first && !was_spaced && !is_spaced)
			yaml_put(t, ends == 1 ? ' ' : '\n', ends == 1 ? 1 : ends - 1);
		else
			yaml_put(t, '\n', ends);
		for (; y->at < y->end && *y->at != '\n'; y->at++) {
			if (*y->at != '\r')
				yaml_put(t, *y->at, 1);
		}
		ends = y->at < y->end;
		yaml_skip_line(y);
		is_first = false;
		was_spaced = is_spaced;
	}
	if (b.chomp == '+')
		yaml_put(t, '\n', ends);
	else if (b.chomp != '-' && !is_first && ends > 0)
		yaml_put(t, '\n', 1);
	return true;
}

/* ---- values ---- */

const struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		if (node->key && strcmp(node->key, key) == 0)
			return node;
	}
	return NULL;
}

bool
yaml_is_null(const struct yaml_node *node)
{
	static const char *const words[] = { "~", "null", "Null", "NULL" };

	for (size_t i = 0; node->kind == YAML_PLAIN && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(node->text, words[i]) == 0)
			return true;
	}
	return node->kind == YAML_NULL;
}

bool
yaml_int(const struct yaml_node *node, int64_t *out)
{
	const char *text = node->kind == YAML_PLAIN ? node->text : "";
	uint64_t value;
	uint32_t octal;

	if (text[0] != '0' || !text[1])
		return parse_i64(text, out);
	if (text[1] == 'x') {
		if (!parse_hex(text, &value) || value > INT64_MAX)
			return false;
		*out = (int64_t)value;
		return true;
	}
	if (!parse_octal(text + (text[1] == 'o' ? 2 : 1), &octal))
		return false;
	*out = octal;
	return true;
}
