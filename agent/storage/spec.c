/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and checks storage requests. */
#include "agent/storage/spec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/storage/driver.h"
#include "lib/client_texts.h"

static size_t
strings_size(const char *const *list, size_t n)
{
	size_t size = n * sizeof(char *);

	for (size_t i = 0; i < n; i++)
		size += strlen(list[i]) + 1;
	return size;
}

static const char *
put_string(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *to = *at;

	memcpy(to, s, n);
	*at += n;
	return to;
}

static const char *const *
put_list(const char ***slots, char **at, const char *const *list, size_t n)
{
	const char **to = *slots;

	for (size_t i = 0; i < n; i++)
		to[i] = put_string(at, list[i]);
	*slots += n;
	return to;
}

/* Returns the length of the first of several options that are joined by commas. A comma in double
 * quotes or after a backslash does not separate options: mount(8), overlayfs. */
static size_t
option_length(const char *s)
{
	bool is_quoted = false;
	size_t n = 0;

	for (; s[n] && (is_quoted || s[n] != ','); n++) {
		if (s[n] == '"')
			is_quoted = !is_quoted;
		else if (s[n] == '\\' && s[n + 1])
			n++;
	}
	return n;
}

/* Counts the options in a list whose strings may be several. */
static size_t
options_count(const char *const *list, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		for (const char *s = list[i]; *s; s += *s == ',') {
			size_t len = option_length(s);

			count += len > 0;
			s += len;
		}
	}
	return count;
}

/* Writes each option as a string of its own. */
static const char *const *
put_options(const char ***slots, char **at, const char *const *list, size_t n)
{
	const char **to = *slots;

	for (size_t i = 0; i < n; i++) {
		for (const char *s = list[i]; *s; s += *s == ',') {
			size_t len = option_length(s);

			if (len > 0) {
				memcpy(*at, s, len);
				(*at)[len] = '\0';
				*(*slots)++ = *at;
				*at += len + 1;
			}
			s += len;
		}
	}
	return to;
}

struct storage_spec *
storage_spec_copy(const struct storage_spec *spec)
{
	size_t n_options = options_count(spec->options, spec->n_options);
	size_t size = sizeof(*spec) + strlen(spec->driver) + strlen(spec->source) +
		      strlen(spec->fstype) + strlen(spec->mount_point) + 4 +
		      n_options * sizeof(char *) + strings_size(spec->options, spec->n_options) +
		      strings_size(spec->driver_options, spec->n_driver_options);
	struct storage_spec *copy = malloc(size);
	const char **slots;
	char *at;

	if (!copy)
		return NULL;
	*copy = *spec;
	copy->n_options = n_options;
	slots = (const char **)(void *)(copy + 1);
	at = (char *)(slots + n_options + spec->n_driver_options);
	copy->options = put_options(&slots, &at, spec->options, spec->n_options);
	copy->driver_options = put_list(&slots, &at, spec->driver_options, spec->n_driver_options);
	copy->driver = put_string(&at, spec->driver);
	copy->source = put_string(&at, spec->source);
	copy->fstype = put_string(&at, spec->fstype);
	copy->mount_point = put_string(&at, spec->mount_point);
	/* Trailing slashes go: a mount point has exactly one name. */
	for (at -= 2; at > copy->mount_point && *at == '/'; at--)
		*at = '\0';
	return copy;
}

bool
storage_spec_same(const struct storage_spec *a, const struct storage_spec *b)
{
	return strcmp(a->driver, b->driver) == 0 && strcmp(a->source, b->source) == 0 &&
	       strcmp(a->fstype, b->fstype) == 0;
}

bool
storage_is_plain_path(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || strlen(path) >= PATH_MAX)
		return false;
	while (*path) {
		size_t n;

		path++;
		n = strcspn(path, "/");
		if (n == 0 && *path)
			return false;
		if ((n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += n;
	}
	return true;
}

int
storage_spec_check(const struct storage_spec *spec, struct error *err)
{
	const struct storage_driver *driver = storage_driver_find(spec->driver);

	if (!driver)
		return error_set(err, ERROR_INVALID_ARGUMENT, TEXT_NO_STORAGE_HANDLER " %.64s",
				 spec->driver);
	if (!storage_is_plain_path(spec->mount_point))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid storage mount_point \"%.128s\": "
				 "must be an absolute path without . and ..",
				 spec->mount_point);
	return driver->check ? driver->check(spec, err) : 0;
}
