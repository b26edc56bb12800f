/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads documents of YAML into trees, with libyaml. JSON is read, too, except for characters
 * that are escaped as two surrogates and keys of more than 1024 characters. Refused are anchors,
 * aliases, tags other than !!str, !!seq and !!map, directives (any line that begins with %), keys
 * that are lists or maps, and line ends of YAML 1.1 only (CR alone, U+0085, U+2028, U+2029): an
 * error names each of them with its line. Scalars keep their text, and their user decides what it
 * means. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"

/* Limits on the bytes of a text and its blanks and ends of lines in a row, on the depth of a
 * document and on the keys of one map. */
#define YAML_SIZE_MAX   (1 << 20)
#define YAML_BLANKS_MAX 1024
#define YAML_DEPTH_MAX  32
#define YAML_KEYS_MAX   1024

enum yaml_kind {
	/* A value that is missing. */
	YAML_NULL,
	YAML_PLAIN,
	/* With quotes, or a block of text. */
	YAML_QUOTED,
	YAML_LIST,
	YAML_MAP,
};

struct yaml_node {
	enum yaml_kind kind;
	/* Of its first character, and in a map, of its key. */
	unsigned int line, key_line;
	/* In a map, otherwise NULL. */
	const char *key;
	/* Of YAML_PLAIN and YAML_QUOTED, otherwise NULL. */
	const char *text;
	/* The elements of a list or a map, and their number. */
	struct yaml_node *first;
	size_t n;
	/* The next element of the same list or map. */
	struct yaml_node *next;
};

/* Reads a text of one document; several are an error. Returns the tree, which is in the arena and
 * has nothing of the text; or NULL and err: INVALID_ARGUMENT with the line, RESOURCE_EXHAUSTED if
 * the text is larger than YAML_SIZE_MAX or the arena is too small. */
struct yaml_node *yaml_parse(struct arena *arena, const char *text, size_t size, struct error *err);

/* As yaml_parse(), but of any number of documents. Returns a list of them; an empty document is
 * YAML_NULL. */
struct yaml_node *yaml_parse_documents(struct arena *arena, const char *text, size_t size,
				       struct error *err);

/* Returns the value of a key, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* Returns whether the node has no value: YAML_NULL, or one of the plain words for it. */
bool yaml_is_null(const struct yaml_node *node);

/* Returns whether the node is a whole number: decimal, 0x… or octal as 0o… or 0…; and sets *out. */
bool yaml_int(const struct yaml_node *node, int64_t *out);
