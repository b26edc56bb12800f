/* SPDX-License-Identifier: Apache-2.0 */
/* `tatami --print-config`: the values and their sources, as a configuration file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/config/keys.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* The column of the comment. */
#define VALUE_COLUMN 48

static void print_key(FILE *out, const struct config *c, size_t i);
static void print_value(FILE *out, const struct config *c, const struct config_key *key);
static void print_source(FILE *out, const struct config_key *key, enum config_source source);

int
config_print(const struct config *c, int fd)
{
	auto_free char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return -1;
	if (*c->file)
		(void)fprintf(out, "# file: %s\n", c->file);
	for (size_t i = 0; i < config_n_keys; i++)
		print_key(out, c, i);
	if (fclose(out) != 0)
		return -1;
	return write_full(fd, text, n);
}

/* Writes one key. A key that is not allowed in a file is written as a comment. */
static void
print_key(FILE *out, const struct config *c, size_t i)
{
	const struct config_key *key = &config_keys[i];
	const char *name = config_file_name(key);
	long begin = ftell(out), width;

	(void)fprintf(out, "%s%s = ", name ? "" : "# ", name ? name : key->key);
	print_value(out, c, key);
	width = ftell(out) - begin;
	(void)fprintf(out, "%*s # ", width < VALUE_COLUMN ? (int)(VALUE_COLUMN - width) : 0, "");
	print_source(out, key, (enum config_source)c->source[i]);
	(void)fputc('\n', out);
}

/* Writes a basic string of TOML. */
static void
print_string(FILE *out, const char *s)
{
	(void)fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			(void)fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			(void)fprintf(out, "\\u%04x", (unsigned int)*s);
		else
			(void)fputc(*s, out);
	}
	(void)fputc('"', out);
}

static void
print_value(FILE *out, const struct config *c, const struct config_key *key)
{
	static const char *const levels[] = {
		[LOG_LEVEL_CRIT] = "critical", [LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",     [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",   [LOG_LEVEL_TRACE] = "trace",
	};
	const void *field = (const char *)c + key->offset;

	switch (key->type) {
	case CONFIG_FLAG:
	case CONFIG_FLAG_BOOL:
	case CONFIG_BOOL:
	case CONFIG_ALL:
		(void)fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case CONFIG_U32:
	case CONFIG_PORT:
		(void)fprintf(out, "%" PRIu32, *(const uint32_t *)field);
		break;
	case CONFIG_U64:
		(void)fprintf(out, "%" PRIu64, *(const uint64_t *)field);
		break;
	case CONFIG_SECONDS:
		(void)fprintf(out, "{ secs = %" PRIu32 ", nanos = 0 }", *(const uint32_t *)field);
		break;
	case CONFIG_STRING:
	case CONFIG_URL:
		print_string(out, field);
		break;
	case CONFIG_LEVEL:
		print_string(out, levels[*(const enum log_level *)field]);
		break;
	case CONFIG_WORD:
		print_string(out, key->words[*(const unsigned int *)field]);
		break;
	}
}

static void
print_source(FILE *out, const struct config_key *key, enum config_source source)
{
	switch (source) {
	case CONFIG_DEFAULT:
		(void)fputs("default", out);
		break;
	case CONFIG_FILE:
		(void)fputs("file", out);
		break;
	case CONFIG_CMDLINE:
		(void)fprintf(out, "kernel command line: %s", key->key);
		break;
	case CONFIG_ENV:
		(void)fprintf(out, "environment: %s", key->env);
		break;
	}
}
