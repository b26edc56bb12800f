/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML reader: libyaml reads the text, and its events become a tree here. The text is checked
 * before for what costs libyaml more than linear time, and for what it reads as YAML 1.1 did.
 */
#include "lib/yaml.h"

#include <string.h>
#include <yaml.h>

#include "lib/parse.h"

/* A list or map that is being read. */
struct yaml_level {
	struct yaml_node *node;
	/* The place of the next element. */
	struct yaml_node **next;
	/* In a map: the key of the next element, or NULL, and its line, which counts from 0. */
	const char *key;
	size_t key_line;
};

struct yaml {
	struct arena *arena;
	struct error *err;
	struct yaml_node *root;
	struct yaml_level levels[YAML_DEPTH_MAX];
	size_t depth;
	/* is_stream: the root is a list of documents */
	bool is_stream, has_document;
};

static bool yaml_check_text(const char *text, size_t size, struct error *err);
static bool yaml_read_events(struct yaml *y, yaml_parser_t *parser, const char *text);

/* Sets the error. `line` counts from 0. Returns false, for use in a return statement. */
static bool
yaml_fail(struct error *err, size_t line, const char *why)
{
	error_set(err, ERROR_INVALID_ARGUMENT, "line %zu: %s", line + 1, why);
	return false;
}

static bool
yaml_nomem(struct error *err, size_t line)
{
	error_set(err, ERROR_RESOURCE_EXHAUSTED, "line %zu: the document is too large", line + 1);
	return false;
}

static struct yaml_node *yaml_read(struct yaml *y, const char *text, size_t size);

struct yaml_node *
yaml_parse(struct arena *arena, const char *text, size_t size, struct error *err)
{
	struct yaml y = { .arena = arena, .err = err };

	return yaml_read(&y, text, size);
}

struct yaml_node *
yaml_parse_documents(struct arena *arena, const char *text, size_t size, struct error *err)
{
	struct yaml y = { .arena = arena, .err = err, .is_stream = true };

	y.root = arena_zalloc(arena, 1, sizeof(*y.root));
	if (!y.root) {
		(void)yaml_nomem(err, 0);
		return NULL;
	}
	y.root->kind = YAML_LIST;
	y.root->line = 1;
	y.levels[y.depth++] = (struct yaml_level){ .node = y.root, .next = &y.root->first };
	return yaml_read(&y, text, size);
}

static struct yaml_node *
yaml_read(struct yaml *y, const char *text, size_t size)
{
	struct error *err = y->err;
	yaml_parser_t parser;
	bool is_valid;

	if (size > YAML_SIZE_MAX) {
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "larger than %d bytes", YAML_SIZE_MAX);
		return NULL;
	}
	/* A byte order mark. */
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
	if (!yaml_check_text(text, size, err))
		return NULL;
	if (!yaml_parser_initialize(&parser)) {
		(void)yaml_nomem(err, 0);
		return NULL;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(size > 0 ? text : ""), size);
	is_valid = yaml_read_events(y, &parser, text);
	yaml_parser_delete(&parser);
	if (!is_valid)
		return NULL;
	if (!y->root) {
		y->root = arena_zalloc(y->arena, 1, sizeof(*y->root));
		if (y->root)
			y->root->line = 1;
		else
			(void)yaml_nomem(err, 0);
	}
	return y->root;
}

/* Returns whether a character begins here that ends a line in YAML 1.1 only. */
static bool
yaml_is_old_line_end(const char *at, size_t left)
{
	return (*at == '\r' && (left < 2 || at[1] != '\n')) ||
	       (left >= 2 && memcmp(at, "\xc2\x85", 2) == 0) ||
	       (left >= 3 &&
		(memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0));
}

/* Refuses directives: libyaml compares each with all others, and reads those of a further document
 * before it reports that. For each word of a scalar, libyaml clears a buffer that has grown to the
 * longest run of blanks in it. */
static bool
yaml_check_text(const char *text, size_t size, struct error *err)
{
	size_t line = 0, blanks = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c == '%' && (i == 0 || text[i - 1] == '\n'))
			return yaml_fail(err, line, "directives are not supported");
		if (yaml_is_old_line_end(text + i, size - i))
			return yaml_fail(err, line, "invalid end of a line");
		blanks = c == ' ' || c == '\t' || c == '\r' || c == '\n' ? blanks + 1 : 0;
		if (blanks > YAML_BLANKS_MAX)
			return yaml_fail(err, line, "too many blanks in a row");
		line += c == '\n';
	}
	return true;
}

/* ---- events ---- */

/* Sets the error that libyaml has found. */
static bool
yaml_fail_parser(const struct yaml *y, const yaml_parser_t *parser, const char *text)
{
	size_t line = parser->problem_mark.line;
	char why[256];

	if (parser->error == YAML_MEMORY_ERROR)
		return yaml_nomem(y->err, parser->mark.line);
	if (parser->error == YAML_READER_ERROR) {
		/* Characters are read ahead and checked, and have no mark. */
		line = 0;
		for (size_t i = 0; i < parser->problem_offset; i++)
			line += text[i] == '\n';
	}
	if (!parser->context)
		return yaml_fail(y->err, line, parser->problem);
	(void)snprintf(why, sizeof(why), "%s (%s, line %zu)", parser->problem, parser->context,
		       parser->context_mark.line + 1);
	return yaml_fail(y->err, line, why);
}

/* Returns the list or map that is being read, or NULL. */
static struct yaml_level *
yaml_level(struct yaml *y)
{
	return y->depth > 0 ? &y->levels[y->depth - 1] : NULL;
}

static bool
yaml_wants_key(const struct yaml_level *level)
{
	return level && level->node->kind == YAML_MAP && !level->key;
}

/* Appends a node to the list or map that is being read; a list or map becomes the one that is being
 * read. */
static bool
yaml_add(struct yaml *y, enum yaml_kind kind, const char *text, size_t line)
{
	struct yaml_level *parent = yaml_level(y);
	struct yaml_node *node = arena_zalloc(y->arena, 1, sizeof(*node));

	if (!node)
		return yaml_nomem(y->err, line);
	node->kind = kind;
	node->line = (unsigned int)line + 1;
	node->text = text;
	if (yaml_wants_key(parent))
		return yaml_fail(y->err, line, "a key may not be a list or a map");
	if (parent) {
		node->key = parent->key;
		node->key_line = parent->key ? (unsigned int)parent->key_line + 1 : 0;
		parent->key = NULL;
		parent->node->n++;
		*parent->next = node;
		parent->next = &node->next;
	} else {
		y->root = node;
	}
	if (kind != YAML_LIST && kind != YAML_MAP)
		return true;
	if (y->depth == YAML_DEPTH_MAX)
		return yaml_fail(y->err, line, "too many levels");
	y->levels[y->depth++] = (struct yaml_level){ .node = node, .next = &node->first };
	return true;
}

static bool
yaml_add_key(struct yaml *y, struct yaml_level *map, const char *key, size_t line)
{
	if (map->node->n == YAML_KEYS_MAX)
		return yaml_fail(y->err, line, "too many keys in one map");
	if (yaml_get(map->node, key)) {
		error_set(y->err, ERROR_INVALID_ARGUMENT, "line %zu: \"%.64s\" is given twice",
			  line + 1, key);
		return false;
	}
	map->key = key;
	map->key_line = line;
	return true;
}

static bool
yaml_read_scalar(struct yaml *y, const yaml_event_t *event)
{
	struct yaml_level *parent = yaml_level(y);
	const char *value = (const char *)event->data.scalar.value;
	size_t size = event->data.scalar.length, line = event->start_mark.line;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			event->data.scalar.plain_implicit;
	char *text;

	if (memchr(value, '\0', size))
		return yaml_fail(y->err, line, "a NUL character in a value");
	text = arena_alloc(y->arena, size + 1);
	if (!text)
		return yaml_nomem(y->err, line);
	memcpy(text, value, size);
	text[size] = '\0';
	if (yaml_wants_key(parent))
		return yaml_add_key(y, parent, text, line);
	/* A plain scalar without text stands for a value that is missing. */
	if (is_plain && size == 0)
		return yaml_add(y, YAML_NULL, NULL, line);
	return yaml_add(y, is_plain ? YAML_PLAIN : YAML_QUOTED, text, line);
}

/* Refuses an anchor, and a tag other than that of the kind of node. */
static bool
yaml_check_properties(const struct yaml *y, size_t line, const yaml_char_t *anchor,
		      const yaml_char_t *tag, const char *permitted)
{
	if (anchor)
		return yaml_fail(y->err, line, "anchors and aliases are not supported");
	return !tag || strcmp((const char *)tag, permitted) == 0 ||
	       yaml_fail(y->err, line, "unsupported tag");
}

static bool
yaml_read_event(struct yaml *y, const yaml_event_t *event)
{
	size_t line = event->start_mark.line;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (y->has_document && !y->is_stream)
			return yaml_fail(y->err, line, "more than one document");
		y->has_document = true;
		return true;
	case YAML_ALIAS_EVENT:
		return yaml_fail(y->err, line, "anchors and aliases are not supported");
	case YAML_SCALAR_EVENT:
		return yaml_check_properties(y, line, event->data.scalar.anchor,
					     event->data.scalar.tag, YAML_STR_TAG) &&
		       yaml_read_scalar(y, event);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_check_properties(y, line, event->data.sequence_start.anchor,
					     event->data.sequence_start.tag, YAML_SEQ_TAG) &&
		       yaml_add(y, YAML_LIST, NULL, line);
	case YAML_MAPPING_START_EVENT:
		return yaml_check_properties(y, line, event->data.mapping_start.anchor,
					     event->data.mapping_start.tag, YAML_MAP_TAG) &&
		       yaml_add(y, YAML_MAP, NULL, line);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		if (y->depth > 0)
			y->depth--;
		return true;
	default:
		return true;
	}
}

static bool
yaml_read_events(struct yaml *y, yaml_parser_t *parser, const char *text)
{
	yaml_event_type_t type;
	bool is_valid;

	do {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return yaml_fail_parser(y, parser, text);
		type = event.type;
		is_valid = yaml_read_event(y, &event);
		yaml_event_delete(&event);
	} while (is_valid && type != YAML_STREAM_END_EVENT);
	return is_valid;
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
