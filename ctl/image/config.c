/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an image. */
#include "ctl/image/config.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

static int
config_text(const json_t *json, const char *key, const char **out, struct error *err)
{
	const json_t *value = json_object_get(json, key);

	*out = "";
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid configuration of the image: %s is not a string", key);
	*out = json_string_value(value);
	return 0;
}

static int
config_list(const json_t *value, const char *key, const char *const **out, struct arena *a,
	    struct error *err)
{
	size_t n = json_is_array(value) ? json_array_size(value) : 0;
	const char **list = arena_zalloc(a, n + 1, sizeof(*list));

	if (!list)
		return error_nomem(err, "reading the configuration of an image");
	if (value && !json_is_null(value) && !json_is_array(value))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a list of strings", key);
	for (size_t i = 0; i < n; i++) {
		list[i] = json_string_value(json_array_get(value, i));
		if (!list[i])
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a list of strings",
					 key);
	}
	*out = list;
	return 0;
}

int
image_config_read(struct image_config *out, const json_t *json, struct arena *a, struct error *err)
{
	if (config_list(json_object_get(json, "Entrypoint"), "Entrypoint", &out->entrypoint, a,
			err) < 0 ||
	    config_list(json_object_get(json, "Cmd"), "Cmd", &out->cmd, a, err) < 0 ||
	    config_list(json_object_get(json, "Env"), "Env", &out->env, a, err) < 0)
		return error_wrap(err, "invalid configuration of the image");
	if (config_text(json, "User", &out->user, err) < 0 ||
	    config_text(json, "WorkingDir", &out->cwd, err) < 0 ||
	    config_text(json, "StopSignal", &out->stop_signal, err) < 0)
		return -1;
	return 0;
}

static size_t
config_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Reads the value of --entrypoint. */
static int
config_entrypoint(const char *text, const char *const **out, struct arena *a, struct error *err)
{
	json_t *json = text[0] == '[' ? json_loads(text, 0, NULL) : NULL;
	const char **list;
	int r;

	if (json) {
		const char *const *parsed = NULL;
		size_t n;

		r = config_list(json, "--entrypoint", &parsed, a, err);
		n = r == 0 ? config_count(parsed) : 0;
		list = arena_zalloc(a, n + 1, sizeof(*list));
		for (size_t i = 0; list && parsed && i < n; i++)
			list[i] = arena_strdup(a, parsed[i]);
		json_decref(json);
		if (r < 0)
			return -1;
	} else {
		list = arena_zalloc(a, 2, sizeof(*list));
		if (list && text[0])
			list[0] = text;
	}
	if (!list)
		return error_nomem(err, "reading --entrypoint");
	*out = list;
	return 0;
}

char *const *
image_args(const struct image_config *config, const char *entrypoint, char *const *command,
	   struct arena *a, struct error *err)
{
	const char *const *first = config->entrypoint, *const * rest;
	size_t n, m;
	char **args;

	if (entrypoint && config_entrypoint(entrypoint, &first, a, err) < 0)
		return NULL;
	rest = command[0] || entrypoint ? (const char *const *)command : config->cmd;
	n = config_count(first);
	m = config_count(rest);
	args = arena_zalloc(a, n + m + 1, sizeof(*args));
	if (!args) {
		error_nomem(err, "building the arguments of the process");
		return NULL;
	}
	for (size_t i = 0; i < n + m; i++)
		args[i] = (char *)(uintptr_t)(i < n ? first[i] : rest[i - n]);
	return args;
}

/* Returns whether a list has a variable of the same name. */
static bool
config_is_set(const char *const *list, size_t n, const char *entry)
{
	size_t len = strcspn(entry, "=");

	for (size_t i = 0; i < n; i++)
		if (strcspn(list[i], "=") == len && strncmp(list[i], entry, len) == 0)
			return true;
	return false;
}

const char *const *
image_env(const struct image_config *config, const char *const *given, size_t *n, struct arena *a)
{
	size_t m = config_count(config->env), used = 0;
	const char **out = arena_zalloc(a, m + *n + 1, sizeof(*out));

	if (!out)
		return NULL;
	for (size_t i = 0; i < m; i++)
		if (!config_is_set(given, *n, config->env[i]))
			out[used++] = config->env[i];
	for (size_t i = 0; i < *n; i++)
		out[used++] = given[i];
	*n = used;
	return out;
}

int
image_signal(const char *text)
{
	uint32_t n;
	int base = 0;

	if (parse_u32(text, &n))
		return n >= 1 && n <= (uint32_t)SIGRTMAX ? (int)n : 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < SIGRTMIN; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0)
			return i;
	}
	if (strncasecmp(text, "RTMIN", 5) == 0)
		base = SIGRTMIN;
	else if (strncasecmp(text, "RTMAX", 5) == 0)
		base = SIGRTMAX;
	else
		return 0;
	text += 5;
	if (*text) {
		/* Only "RTMIN+N" and "RTMAX-N" are there. */
		if (*text != (base == SIGRTMIN ? '+' : '-') || !parse_u32(text + 1, &n) ||
		    n > (uint32_t)(SIGRTMAX - SIGRTMIN))
			return 0;
		base += base == SIGRTMIN ? (int)n : -(int)n;
	}
	return base;
}
