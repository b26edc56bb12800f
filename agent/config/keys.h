/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys as config.c, file.c and print.c share it. Nobody else includes this. */
#pragma once

#include "agent/config/config.h"

enum config_type {
	CONFIG_FLAG,      /* bare word; with a value it is not understood */
	CONFIG_FLAG_BOOL, /* bare word, or as CONFIG_BOOL */
	CONFIG_BOOL,      /* true, false or a number */
	CONFIG_U32,       /* min to max */
	CONFIG_U64,       /* min to max */
	CONFIG_PORT,      /* as CONFIG_U32; a file may say 0 for none */
	CONFIG_SECONDS,   /* as CONFIG_U32; in a file { secs = N, nanos = 0 }, or N */
	CONFIG_STRING,    /* may hold `=`; max: size of the field. Not empty, but in a file */
	CONFIG_URL,       /* as CONFIG_STRING, and SCHEME://SOMETHING */
	CONFIG_LEVEL,     /* lib/log.h */
	CONFIG_WORD,      /* one of words, whose index is the value */
	CONFIG_ALL,       /* "all"; every other value is somebody else's */
};

struct config_key {
	const char *key;  /* on the kernel command line; NULL: none */
	const char *toml; /* in a file; NULL: key without "agent." */
	const char *env;  /* NULL: none */
	enum config_type type;
	size_t offset; /* in struct config */
	uint64_t min, max;
	const char *const *words; /* ends with NULL */
};

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

/* The key's name in a file; NULL: it cannot stand there. */
const char *config_file_name(const struct config_key *key);

/* Takes the value over and notes who said it, or leaves everything as it was. A NULL value: the bare word. */
bool config_set(struct config *c, const struct config_key *key, const char *value,
		enum config_source source);
