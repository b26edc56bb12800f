/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/input/debian_sources.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/round.h"

#define DEFAULT_URI "http://deb.debian.org/debian"

/* The suites that are looked for: the release, its updates and its security updates. */
static const char *const suffixes[] = { "", "-updates", "-security" };

/* One entry of an apt configuration: lists of words separated by white space. */
struct entry {
	char *types, *uris, *suites, *components, *signed_by, *enabled;
};

/* A search in progress. */
struct search {
	struct debian_sources *sources;
	const char *suite;
	/* Suite that is written in place of the one found, or NULL. */
	const char *instead;
	struct error *err;
};

static int sources_add(struct debian_sources *sources, const char *keyring, const char *uri,
		       const char *suite, const char *suffix, const char *components,
		       struct error *err);
static int sources_from_mirrors(struct debian_sources *sources, const char *suite,
				const char *const *mirrors, struct error *err);
static int sources_search(struct search *search, const char *etc);
static int sources_read_list(struct search *search, FILE *file);
static int sources_read_deb822(struct search *search, FILE *file);
static int sources_take(struct search *search, const struct entry *entry);

void
debian_sources_release(struct debian_sources *sources)
{
	for (size_t i = 0; i < sources->n; i++)
		free(sources->lines[i]);
	free(sources->lines);
	*sources = (struct debian_sources){ 0 };
}

int
debian_sources_find(struct debian_sources *sources, const char *etc, const char *suite,
		    const char *own, const char *const *mirrors, struct error *err)
{
	struct search search = { .sources = sources, .suite = suite, .err = err };

	*sources = (struct debian_sources){ 0 };
	if (mirrors && *mirrors)
		return sources_from_mirrors(sources, suite, mirrors, err);
	if (sources_search(&search, etc) < 0)
		return -1;
	if (!sources->n && own && *own && strcmp(own, suite) != 0) {
		search.suite = own;
		search.instead = suite;
		if (sources_search(&search, etc) < 0)
			return -1;
	}
	return sources->n ? 0 : sources_add(sources, NULL, DEFAULT_URI, suite, "", "main", err);
}

static int
sources_add_line(struct debian_sources *sources, char *line, struct error *err)
{
	char **grown;

	for (size_t i = 0; line && i < sources->n; i++) {
		if (!strcmp(sources->lines[i], line)) {
			free(line);
			return 0;
		}
	}
	grown = line ? reallocarray(sources->lines, sources->n + 1, sizeof(char *)) : NULL;
	if (!grown) {
		free(line);
		return error_nomem(err, "reading the sources of apt");
	}
	sources->lines = grown;
	sources->lines[sources->n++] = line;
	return 0;
}

static int
sources_add(struct debian_sources *sources, const char *keyring, const char *uri, const char *suite,
	    const char *suffix, const char *components, struct error *err)
{
	size_t len = strlen(uri);
	char *line;

	while (len && uri[len - 1] == '/')
		len--;
	if (asprintf(&line, "deb [signed-by=%s] %.*s %s%s %s", keyring ? keyring : DEBIAN_KEYRING,
		     (int)len, uri, suite, suffix, components) < 0)
		line = NULL;
	return sources_add_line(sources, line, err);
}

static int
sources_from_mirrors(struct debian_sources *sources, const char *suite, const char *const *mirrors,
		     struct error *err)
{
	static const char *const schemes[] = { "http://", "https://", "file:", "copy:" };

	for (; *mirrors; mirrors++) {
		bool is_uri = false;

		for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
			is_uri |= !strncmp(*mirrors, schemes[i], strlen(schemes[i]));
		if (strpbrk(*mirrors, "\n\r") || (is_uri && strpbrk(*mirrors, " \t")) ||
		    (!is_uri && strncmp(*mirrors, "deb ", 4) != 0))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid mirror \"%s\": neither a URI of http, https or "
					 "file nor a line \"deb ...\" of sources.list(5)",
					 *mirrors);
		if (is_uri ? sources_add(sources, NULL, *mirrors, suite, "", "main", err) < 0
			   : sources_add_line(sources, strdup(*mirrors), err) < 0)
			return -1;
	}
	return 0;
}

static int
sources_read_files(struct search *search, const char *pattern,
		   int (*read)(struct search *search, FILE *file))
{
	glob_t found = { 0 };
	int r = 0;

	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");

		if (!file) {
			r = error_sys(search->err, "failed to open %s", found.gl_pathv[i]);
			break;
		}
		r = read(search, file);
		(void)fclose(file);
	}
	globfree(&found);
	return r;
}

static int
sources_search(struct search *search, const char *etc)
{
	static const struct {
		const char *name;
		int (*read)(struct search *search, FILE *file);
	} rows[] = {
		{ "sources.list", sources_read_list },
		{ "sources.list.d/*.list", sources_read_list },
		{ "sources.list.d/*.sources", sources_read_deb822 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *pattern = NULL;

		if (asprintf(&pattern, "%s/%s", etc, rows[i].name) < 0) {
			pattern = NULL;
			return error_nomem(search->err, "reading the sources of apt");
		}
		if (sources_read_files(search, pattern, rows[i].read) < 0)
			return -1;
	}
	return 0;
}

/* Returns the value of the option "signed-by" in "[...]" and moves *text behind that. */
static char *
sources_take_options(char **text)
{
	char *end, *option, *options, *value = NULL;

	*text += strspn(*text, " \t");
	if (**text != '[')
		return NULL;
	end = strchr(*text, ']');
	if (!end)
		return NULL;
	*end = '\0';
	options = *text + 1;
	*text = end + 1;
	while ((option = strsep(&options, " \t"))) {
		if (!strncmp(option, "signed-by=", 10))
			value = option + 10;
	}
	return value;
}

static int
sources_read_list(struct search *search, FILE *file)
{
	auto_free char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, file) > 0) {
		struct entry entry = { .types = "deb", .enabled = "yes" };
		char *rest;

		line[strcspn(line, "#\n\r")] = '\0';
		rest = line + strspn(line, " \t");
		if (strncmp(rest, "deb", 3) != 0 || !strchr(" \t", rest[3]) || !rest[3])
			continue;
		rest += 3;
		entry.signed_by = sources_take_options(&rest);
		rest += strspn(rest, " \t");
		entry.uris = strsep(&rest, " \t");
		if (rest)
			rest += strspn(rest, " \t");
		entry.suites = strsep(&rest, " \t");
		if (rest)
			rest += strspn(rest, " \t");
		entry.components = rest;
		for (size_t n = rest ? strlen(rest) : 0; n && strchr(" \t", rest[n - 1]); n--)
			rest[n - 1] = '\0';
		r = sources_take(search, &entry);
	}
	return r;
}

/* Appends a value to a field. */
static int
sources_join(char **field, const char *value)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", *field ? *field : "", *field ? " " : "",
		     value + strspn(value, " \t")) < 0)
		return -1;
	free(*field);
	*field = joined;
	return 0;
}

static void
sources_forget(struct entry *entry)
{
	free(entry->types);
	free(entry->uris);
	free(entry->suites);
	free(entry->components);
	free(entry->signed_by);
	free(entry->enabled);
	*entry = (struct entry){ 0 };
}

static char **
sources_field(struct entry *entry, const char *name, size_t len)
{
	const struct {
		const char *name;
		char **field;
	} rows[] = {
		{ "types", &entry->types },     { "uris", &entry->uris },
		{ "suites", &entry->suites },   { "components", &entry->components },
		{ "enabled", &entry->enabled }, { "signed-by", &entry->signed_by },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strlen(rows[i].name) == len && !strncasecmp(rows[i].name, name, len))
			return rows[i].field;
	}
	return NULL;
}

static int
sources_read_deb822(struct search *search, FILE *file)
{
	struct entry entry = { 0 };
	auto_free char *line = NULL;
	char **field = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, file) > 0) {
		char *value = line;

		line[strcspn(line, "\n\r")] = '\0';
		if (line[0] == '#')
			continue;
		if (!line[strspn(line, " \t")]) {
			r = sources_take(search, &entry);
			sources_forget(&entry);
			field = NULL;
			continue;
		}
		if (line[0] != ' ' && line[0] != '\t') {
			value = strchr(line, ':');
			field = value ? sources_field(&entry, line, (size_t)(value - line)) : NULL;
			value = value ? value + 1 : line;
		}
		if (field && sources_join(field, value) < 0)
			r = error_nomem(search->err, "reading the sources of apt");
	}
	if (r == 0)
		r = sources_take(search, &entry);
	sources_forget(&entry);
	return r;
}

/* Returns whether a list has this word. */
static bool
sources_has(const char *list, const char *word, const char *suffix)
{
	size_t len = strlen(word), tail = strlen(suffix);

	for (const char *at = list; at && *at; at += strcspn(at, " \t")) {
		at += strspn(at, " \t");
		if (strcspn(at, " \t") == len + tail && !strncmp(at, word, len) &&
		    !strncmp(at + len, suffix, tail))
			return true;
	}
	return false;
}

/* Adds the lines of an entry if it is one of Debian's archives: others have suites of the same
 * names. */
static int
sources_take(struct search *search, const struct entry *entry)
{
	auto_free char *uris = NULL;
	const char *keyring = entry->signed_by;
	char *rest, *uri;

	if (!sources_has(entry->types, "deb", "") || !sources_has(entry->components, "main", "") ||
	    (entry->enabled && !strcasecmp(entry->enabled, "no")) || !entry->uris)
		return 0;
	/* A key may also stand in the entry itself. */
	if (keyring && keyring[0] != '/')
		keyring = NULL;
	if (keyring && !strstr(keyring, "debian"))
		return 0;
	uris = strdup(entry->uris);
	if (!uris)
		return error_nomem(search->err, "reading the sources of apt");
	rest = uris;
	while ((uri = strsep(&rest, " \t"))) {
		if (!strstr(uri, "debian"))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
			const char *suite = search->instead ? search->instead : search->suite;

			if (!sources_has(entry->suites, search->suite, suffixes[i]))
				continue;
			/* Only releases have these two. */
			if (search->instead && *suffixes[i] &&
			    (strchr(suite, '-') || !strcmp(suite, "sid") ||
			     !strcmp(suite, "unstable") || !strcmp(suite, "experimental")))
				continue;
			if (sources_add(search->sources, keyring, uri, suite, suffixes[i],
					entry->components, search->err) < 0)
				return -1;
		}
	}
	return 0;
}
