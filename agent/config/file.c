/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration file: selection and types of its values. */
#include <stdio.h>
#include <string.h>

#include "agent/config/keys.h"
#include "agent/config/toml.h"

struct file {
	struct config *config;
	const char *name;
	unsigned int warned;
};

static void file_on_value(void *data, const char *name, const struct toml_value *value,
			  unsigned int line);
static const struct config_key *file_find_key(const char *name, const char **part);
static bool file_take_part(struct file *f, const char *name, const char *part,
			   const struct toml_value *value, unsigned int line);
static enum toml_kind file_kind_of(const struct config_key *key);
static void file_on_error(void *data, unsigned int line, const char *why);

static void
file_warn(struct file *f, unsigned int line, const char *key, const char *why)
{
	f->warned++;
	log_warn("config", "configuration file %s: line %u: %s%s%s, ignored", f->name, line, key,
		 *key ? ": " : "", why);
}

unsigned int
config_read_file(struct config *c, const char *text, size_t n, const char *name)
{
	struct file f = { .config = c, .name = name };
	const struct toml_events events = { .value = file_on_value,
					    .error = file_on_error,
					    .data = &f };

	(void)toml_read(text, n, &events);
	return f.warned;
}

static void
file_on_value(void *data, const char *name, const struct toml_value *value, unsigned int line)
{
	struct file *f = data;
	const char *part, *text = value->text;
	const struct config_key *key = file_find_key(name, &part);
	char number[24];

	if (!key)
		return;
	if (key->type == CONFIG_SECONDS && value->kind == TOML_TABLE && !*part)
		return;
	if (*part && (key->type != CONFIG_SECONDS || file_take_part(f, name, part, value, line)))
		return;
	if (value->kind != file_kind_of(key)) {
		file_warn(f, line, name, "invalid type");
		return;
	}
	if (value->kind == TOML_BOOL)
		text = value->boolean ? "true" : "false";
	if (value->kind == TOML_INTEGER) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)value->integer);
		text = number;
	}
	if (!config_set(f->config, key, text, CONFIG_FILE))
		file_warn(f, line, name, "invalid value");
}

/* Finds the row of a key. *part is the rest after the key's name and a dot (in the table of a
 * duration), or "". */
static const struct config_key *
file_find_key(const char *name, const char **part)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *own = config_file_name(&config_keys[i]);
		size_t n = own ? strlen(own) : 0;

		if (!own || strncmp(own, name, n) != 0 || (name[n] && name[n] != '.'))
			continue;
		*part = name[n] ? name + n + 1 : "";
		return &config_keys[i];
	}
	return NULL;
}

/* Handles a part of a duration. Returns true if the value must not be set: it is not the
 * seconds. */
static bool
file_take_part(struct file *f, const char *name, const char *part, const struct toml_value *value,
	       unsigned int line)
{
	if (strcmp(part, "nanos") == 0) {
		if (value->kind != TOML_INTEGER || value->integer != 0)
			file_warn(f, line, name, "only whole seconds are supported");
		return true;
	}
	return strcmp(part, "secs") != 0;
}

static enum toml_kind
file_kind_of(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_FLAG:
	case CONFIG_FLAG_BOOL:
	case CONFIG_BOOL:
		return TOML_BOOL;
	case CONFIG_U32:
	case CONFIG_U64:
	case CONFIG_PORT:
	case CONFIG_SECONDS:
		return TOML_INTEGER;
	default:
		return TOML_STRING;
	}
}

static void
file_on_error(void *data, unsigned int line, const char *why)
{
	file_warn(data, line, "", why);
}
