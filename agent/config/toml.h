/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parser of TOML (toml.io, v1.0.0) for configuration files of keys and plain values. It
 * recognises all of the syntax, so that keys of other programs can be skipped, but reports the
 * values of strings, integers and booleans only. A malformed line is reported and skipped. Accepts
 * any bytes, allocates nothing and never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* size of a key with its tables and NUL; longer ones are reported as "" */
#define TOML_KEY_MAX 256
/* size of a string with its NUL; longer ones are TOML_OTHER */
#define TOML_STRING_MAX 1024
/* the rest of the file is ignored after so many errors */
#define TOML_ERRORS_MAX 20

enum toml_kind {
	TOML_STRING,
	TOML_INTEGER,
	TOML_BOOL,
	/* its values are reported separately */
	TOML_TABLE,
	/* a float, a date, an array, an integer beyond 64 bits, a string that is too long */
	TOML_OTHER,
};

struct toml_value {
	enum toml_kind kind;
	/* TOML_STRING: valid UTF-8, NUL-terminated, without a NUL in it */
	const char *text;
	int64_t integer;
	bool boolean;
};

struct toml_events {
	/* Receives a value. key is "table.sub.key", or "" if a part of it is not a bare word. */
	void (*value)(void *data, const char *key, const struct toml_value *value,
		      unsigned int line);
	void (*error)(void *data, unsigned int line, const char *why);
	void *data;
};

/* Parses n bytes of text. Returns the number of errors reported. */
unsigned int toml_read(const char *text, size_t n, const struct toml_events *events);
