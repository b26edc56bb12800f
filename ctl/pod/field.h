/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of Kubernetes' objects, with the types that the API server requires, and errors that name
 * a field's path and line. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "lib/yaml.h"

struct field_reader {
	/* owner of all texts */
	struct arena *arena;
	struct error *err;
	/* paths of fields without a meaning here, each once; with room for max_ignored */
	const char **ignored;
	size_t n_ignored, max_ignored;
};

struct field {
	/* NULL: missing, or null */
	const struct yaml_node *node;
	char path[200];
};

/* The permitted keys of an object, separated by blanks. */
struct field_keys {
	const char *known;
	/* reported and skipped */
	const char *ignored;
	/* fields of Kubernetes that would change the meaning */
	const char *refused;
};

/* Sets the error "line N: PATH: …". Returns -1. */
int field_wrong(struct field_reader *r, const struct field *f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int field_nomem(struct field_reader *r);

/* Records the path of a field that is ignored, with "[]" for all elements of a list. */
int field_ignore(struct field_reader *r, const char *path);

/* Checks that the field is a map with these keys only. A missing one is an empty map. */
int field_check_map(struct field_reader *r, const struct field *f, const struct field_keys *keys);

/* Returns whether an object of YAML has the key, and it is not null. */
bool field_has(const struct field *map, const char *key);

/* Sets *out to a field of a map; to have no node if it is missing. */
void field_get(const struct field *map, const char *key, struct field *out);

/* Sets *out to the field of a list's element. */
void field_element(const struct field *list, const struct yaml_node *node, size_t i,
		   struct field *out);

/* Checks that the field is missing, or a list or map of at most `max` elements. */
int field_check_list(struct field_reader *r, const struct field *f, size_t max);
int field_check_any_map(struct field_reader *r, const struct field *f, size_t max);

/* Read a field of a map, and leave *out alone if it is missing. */
int field_text(struct field_reader *r, const struct field *map, const char *key, const char **out);
int field_bool(struct field_reader *r, const struct field *map, const char *key, bool *out);
int field_number(struct field_reader *r, const struct field *map, const char *key, int64_t min,
		 int64_t max, int64_t *out);
/* in units of 10^-digits (quantity.h) */
int field_quantity(struct field_reader *r, const struct field *map, const char *key, int digits,
		   uint64_t *out);
/* a list of strings, NULL-terminated, in the arena */
int field_words(struct field_reader *r, const struct field *map, const char *key, size_t max,
		const char ***out, size_t *n);

/* As field_text(), but the field must be there and not be empty. */
int field_required(struct field_reader *r, const struct field *map, const char *key,
		   const char **out);

/* Returns the text of a field that must be a string, or NULL and the error. */
const char *field_string(struct field_reader *r, const struct field *f);

/* Reads a field with one of these names, and sets *out to its number. */
int field_choice(struct field_reader *r, const struct field *map, const char *key,
		 const char *const *names, size_t n, unsigned int *out);
