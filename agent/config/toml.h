/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading TOML (toml.io, v1.0.0) as far as a configuration file of keys and plain values needs it: everything is
 * recognised, so that what is somebody else's can be passed over, but only strings, integers and booleans are told.
 * A line that is wrong is told, too, and left out. Allocates nothing; works for any bytes; never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOML_KEY_MAX    256 /* of a key with its tables, NUL included; longer ones are told as "" */
#define TOML_STRING_MAX 1024 /* of a string, NUL included; longer ones are TOML_OTHER */
#define TOML_ERRORS_MAX 20   /* after so many the rest is left out */

enum toml_kind {
	TOML_STRING,
	TOML_INTEGER,
	TOML_BOOL,
	TOML_TABLE, /* what is in it follows, or was told before */
	TOML_OTHER, /* a float, a date, an array, an integer beyond 64 bits, a string that is too long */
};

struct toml_value {
	enum toml_kind kind;
	const char *text; /* TOML_STRING: valid UTF-8, NUL-ended, without a NUL in it */
	int64_t integer;
	bool boolean;
};

struct toml_events {
	/* key: "table.sub.key"; one with a part that is no bare word is told as "". */
	void (*value)(void *data, const char *key, const struct toml_value *value,
		      unsigned int line);
	void (*error)(void *data, unsigned int line, const char *why);
	void *data;
};

/* Returns how many errors were told. */
unsigned int toml_read(const char *text, size_t n, const struct toml_events *events);
