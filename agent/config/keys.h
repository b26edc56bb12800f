/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys, shared by config.c, file.c and print.c only. */
#pragma once

#include "agent/config/config.h"

enum config_type {
	/* a bare word; a value is invalid */
	CONFIG_FLAG,
	/* a bare word, or as CONFIG_BOOL */
	CONFIG_FLAG_BOOL,
	/* true, false or a number */
	CONFIG_BOOL,
	/* min to max */
	CONFIG_U32,
	/* min to max */
	CONFIG_U64,
	/* as CONFIG_U32; in a file also 0, for none */
	CONFIG_PORT,
	/* as CONFIG_U32; in a file { secs = N, nanos = 0 }, or N */
	CONFIG_SECONDS,
	/* may contain `=`; max: size of the field. Empty only in a file, if min is 0 */
	CONFIG_STRING,
	/* as CONFIG_STRING, of the form SCHEME://REST */
	CONFIG_URL,
	/* see lib/log.h */
	CONFIG_LEVEL,
	/* one of words, whose index is the value */
	CONFIG_WORD,
	/* true if the value is "all"; other values are for the kernel only */
	CONFIG_ALL,
};

struct config_key {
	/* name on the kernel command line; NULL: none */
	const char *key;
	/* name in a file; NULL: key without "agent."; "": none */
	const char *toml;
	/* environment variable; NULL: none */
	const char *env;
	enum config_type type;
	/* in struct config */
	size_t offset;
	uint64_t min, max;
	/* ends with NULL */
	const char *const *words;
};

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

/* Returns the key's name in a file, or NULL if it is not allowed there. */
const char *config_file_name(const struct config_key *key);

/* Sets a value and its source. value NULL is the bare word. Returns false and changes nothing if
 * the value is invalid. */
bool config_set(struct config *c, const struct config_key *key, const char *value,
		enum config_source source);
