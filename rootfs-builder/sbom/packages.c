/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/sbom/packages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "rootfs-builder/image/content.h"

/* Largest database, and largest copyright file. */
#define DATABASE_MAX  ((size_t)64 << 20)
#define COPYRIGHT_MAX ((size_t)1 << 20)

/* A database in memory, which is cut into lines. */
struct reading {
	struct packages *packages;
	const struct image *image;
	char *text;
};

static int packages_read_release(struct packages *packages, const struct image *image,
				 struct error *err);
static int packages_read_dpkg(struct reading *r, const char *path, bool is_single,
			      struct error *err);
static int packages_read_dpkg_dir(struct reading *r, struct error *err);
static int packages_read_apk(struct reading *r, struct error *err);
static int packages_add_files(struct reading *r, const struct package *package, struct error *err);
static int packages_add_license(struct reading *r, struct package *package, struct error *err);

static int
packages_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	return buf_append(data, bytes, n) < 0 ? error_nomem(err, "reading a package database") : 0;
}

/* Reads a regular file of the image, with symlinks followed. *text is NULL if there is none. */
static int
packages_load(const struct image *image, const char *path, size_t max, char **text,
	      struct error *err)
{
	struct error ignored;
	const struct image_entry *entry = image_resolve(image, path, &ignored);
	struct buf b;
	int r;

	*text = NULL;
	if (!entry || !S_ISREG(entry->mode))
		return 0;
	if (entry->size > max)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "/%s has more than %zu bytes",
				 entry->path, max);
	buf_init(&b, max + 1);
	r = content_read(entry, packages_take, &b, err);
	if (r == 0 && buf_append(&b, "", 1) < 0)
		r = error_nomem(err, "reading a package database");
	if (r == 0)
		*text = strdup((const char *)buf_head(&b));
	buf_release(&b);
	if (r == 0 && !*text)
		r = error_nomem(err, "reading a package database");
	return r < 0 ? error_wrap(err, "failed to read /%s of the image", path) : 0;
}

static int
packages_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
packages_read(struct packages *packages, const struct image *image, struct error *err)
{
	static const char *const rpm[] = { "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages",
					   "usr/lib/sysimage/rpm/rpmdb.sqlite" };
	struct reading r = { .packages = packages, .image = image };

	if (packages_read_release(packages, image, err) < 0 ||
	    packages_read_dpkg(&r, "var/lib/dpkg/status", false, err) < 0 ||
	    packages_read_dpkg_dir(&r, err) < 0 || packages_read_apk(&r, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(rpm); i++)
		packages->has_rpm |= image_find(image, rpm[i]) != NULL;
	if (packages->n_owned)
		qsort(packages->owned, packages->n_owned, sizeof(char *), packages_compare);
	return 0;
}

static void
packages_forget(struct package *package)
{
	free(package->name);
	free(package->version);
	free(package->arch);
	free(package->source);
	free(package->maintainer);
	free(package->homepage);
	free(package->license);
	*package = (struct package){ 0 };
}

void
packages_release(struct packages *packages)
{
	for (size_t i = 0; i < packages->n; i++)
		packages_forget(&packages->items[i]);
	for (size_t i = 0; i < packages->n_owned; i++)
		free(packages->owned[i]);
	free(packages->items);
	free(packages->owned);
	free(packages->distribution);
	free(packages->release);
	*packages = (struct packages){ 0 };
}

bool
packages_own(const struct packages *packages, const char *path)
{
	return packages->n_owned && bsearch(&path, packages->owned, packages->n_owned,
					    sizeof(char *), packages_compare) != NULL;
}

/* Stores a copy of a value, the first one if there are several. */
static int
packages_set(char **field, const char *value, struct error *err)
{
	if (*field)
		return 0;
	*field = strdup(value);
	return *field ? 0 : error_nomem(err, "reading a package database");
}

static int
packages_read_release(struct packages *packages, const struct image *image, struct error *err)
{
	auto_free char *text = NULL;
	char *rest, *line;

	if (packages_load(image, "etc/os-release", COPYRIGHT_MAX, &text, err) < 0)
		return -1;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '='), **field;
		size_t len;

		if (!value)
			continue;
		*value++ = '\0';
		len = strlen(value);
		if (len > 1 && strchr("\"'", value[0]) && value[len - 1] == value[0]) {
			value[len - 1] = '\0';
			value++;
		}
		field = !strcmp(line, "ID")           ? &packages->distribution
			: !strcmp(line, "VERSION_ID") ? &packages->release
						      : NULL;
		if (field && packages_set(field, value, err) < 0)
			return -1;
	}
	return 0;
}

/* Adds a package, unless it has no name or version. Takes its strings. */
static int
packages_add(struct reading *r, struct package *package, struct error *err)
{
	struct packages *packages = r->packages;
	struct package *grown;

	if (!package->name || !package->version) {
		packages_forget(package);
		return 0;
	}
	grown = reallocarray(packages->items, packages->n + 1, sizeof(*grown));
	if (!grown) {
		packages_forget(package);
		return error_nomem(err, "reading a package database");
	}
	packages->items = grown;
	grown[packages->n++] = *package;
	*package = (struct package){ 0 };
	return 0;
}

/* Marks a path of the image as one of a package. */
static int
packages_add_owned(struct reading *r, const char *path, struct error *err)
{
	struct packages *packages = r->packages;
	const struct image_entry *entry = image_find(r->image, path);

	if (!entry || S_ISDIR(entry->mode))
		return 0;
	if (packages->n_owned == packages->owned_size) {
		size_t size = packages->owned_size ? packages->owned_size * 2 : 1024;
		char **grown = reallocarray(packages->owned, size, sizeof(char *));

		if (!grown)
			return error_nomem(err, "reading the files of a package");
		packages->owned = grown;
		packages->owned_size = size;
	}
	packages->owned[packages->n_owned] = strdup(entry->path);
	if (!packages->owned[packages->n_owned])
		return error_nomem(err, "reading the files of a package");
	packages->n_owned++;
	return 0;
}

/* Ends a stanza of dpkg's database. */
static int
packages_end_stanza(struct reading *r, struct package *package, bool is_installed,
		    struct error *err)
{
	if (!is_installed || !package->name) {
		packages_forget(package);
		return 0;
	}
	package->type = "deb";
	if (packages_add_files(r, package, err) < 0 || packages_add_license(r, package, err) < 0) {
		packages_forget(package);
		return -1;
	}
	return packages_add(r, package, err);
}

/* Reads stanzas of "Field: value" lines. A file with a single one need not have a status. */
static int
packages_read_dpkg(struct reading *r, const char *path, bool is_single, struct error *err)
{
	struct package package = { 0 };
	const struct {
		const char *name;
		char **field;
	} fields[] = {
		{ "Package: ", &package.name },          { "Version: ", &package.version },
		{ "Architecture: ", &package.arch },     { "Source: ", &package.source },
		{ "Maintainer: ", &package.maintainer }, { "Homepage: ", &package.homepage },
	};
	bool is_installed = is_single;
	auto_free char *text = NULL;
	char *rest, *line;

	if (packages_load(r->image, path, DATABASE_MAX, &text, err) < 0)
		return -1;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line) {
			if (packages_end_stanza(r, &package, is_installed, err) < 0)
				return -1;
			is_installed = is_single;
			continue;
		}
		if (!strncmp(line, "Status: ", 8))
			is_installed = strstr(line, " installed") != NULL;
		for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
			size_t len = strlen(fields[i].name);

			if (!strncmp(line, fields[i].name, len) &&
			    packages_set(fields[i].field, line + len, err) < 0) {
				packages_forget(&package);
				return -1;
			}
		}
	}
	return packages_end_stanza(r, &package, is_installed, err);
}

/* Images without dpkg have a file for each package. */
static int
packages_read_dpkg_dir(struct reading *r, struct error *err)
{
	static const char dir[] = "var/lib/dpkg/status.d/";

	for (size_t i = 0; i < r->image->n; i++) {
		const char *path = r->image->entries[i]->path;

		if (!strncmp(path, dir, sizeof(dir) - 1) && !strstr(path, ".md5sums") &&
		    packages_read_dpkg(r, path, true, err) < 0)
			return -1;
	}
	return 0;
}

static int
packages_add_files(struct reading *r, const struct package *package, struct error *err)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	char *rest, *line;

	(void)snprintf(path, sizeof(path), "var/lib/dpkg/info/%s.list", package->name);
	if (packages_load(r->image, path, DATABASE_MAX, &text, err) < 0)
		return -1;
	if (!text) {
		(void)snprintf(path, sizeof(path), "var/lib/dpkg/info/%s:%s.list", package->name,
			       package->arch ? package->arch : "");
		if (packages_load(r->image, path, DATABASE_MAX, &text, err) < 0)
			return -1;
	}
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (packages_add_owned(r, line, err) < 0)
			return -1;
	}
	return 0;
}

/* Finds the licence of "Files: *" in a machine-readable copyright file. */
static int
packages_add_license(struct reading *r, struct package *package, struct error *err)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	bool is_all = false;
	char *rest, *line;

	(void)snprintf(path, sizeof(path), "usr/share/doc/%s/copyright", package->name);
	if (packages_load(r->image, path, COPYRIGHT_MAX, &text, err) < 0)
		return -1;
	if (!text || strncmp(text, "Format: ", 8) != 0)
		return 0;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			is_all = false;
		if (!strcmp(line, "Files: *"))
			is_all = true;
		if (is_all && !strncmp(line, "License: ", 9)) {
			package->license = packages_license(line + 9);
			return 0;
		}
	}
	return 0;
}

/* Reads "X:value" lines: packages end with an empty line, F is a directory, R a file in it. */
static int
packages_read_apk(struct reading *r, struct error *err)
{
	struct package package = { 0 };
	const struct {
		char key;
		char **field;
	} fields[] = {
		{ 'P', &package.name },   { 'V', &package.version },    { 'A', &package.arch },
		{ 'o', &package.source }, { 'm', &package.maintainer }, { 'U', &package.homepage },
	};
	auto_free char *text = NULL;
	const char *dir = "";
	char *rest, *line;
	int status = 0;

	if (packages_load(r->image, "lib/apk/db/installed", DATABASE_MAX, &text, err) < 0)
		return -1;
	rest = text;
	while (status == 0 && (line = strsep(&rest, "\n"))) {
		char path[PATH_MAX];

		if (!*line) {
			package.type = "apk";
			status = packages_add(r, &package, err);
			continue;
		}
		if (line[1] != ':') {
			status = error_set(err, ERROR_INVALID_ARGUMENT,
					   "invalid line \"%.80s\" in /lib/apk/db/installed", line);
			break;
		}
		for (size_t i = 0; status == 0 && i < ARRAY_LEN(fields); i++) {
			if (line[0] == fields[i].key)
				status = packages_set(fields[i].field, line + 2, err);
		}
		if (line[0] == 'L' && !package.license)
			package.license = packages_license(line + 2);
		if (line[0] == 'F')
			dir = line + 2;
		if (line[0] == 'R' &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, line + 2) < sizeof(path))
			status = packages_add_owned(r, path, err);
	}
	package.type = "apk";
	if (status == 0)
		status = packages_add(r, &package, err);
	packages_forget(&package);
	return status;
}

/* Short names of debian/copyright files, and those of SPDX. */
static const struct {
	const char *name, *spdx;
} licenses[] = {
	{ "0BSD", "0BSD" },
	{ "Apache-2", "Apache-2.0" },
	{ "Apache-2.0", "Apache-2.0" },
	{ "BSD-2-Clause", "BSD-2-Clause" },
	{ "BSD-3-Clause", "BSD-3-Clause" },
	{ "BSD-4-clause-UC", "BSD-4-Clause-UC" },
	{ "BSD-4-Clause", "BSD-4-Clause" },
	{ "BSL-1.0", "BSL-1.0" },
	{ "CC0", "CC0-1.0" },
	{ "CC0-1.0", "CC0-1.0" },
	{ "Expat", "MIT" },
	{ "GPL-1+", "GPL-1.0-or-later" },
	{ "GPL-2", "GPL-2.0-only" },
	{ "GPL-2+", "GPL-2.0-or-later" },
	{ "GPL-2.0-only", "GPL-2.0-only" },
	{ "GPL-2.0-or-later", "GPL-2.0-or-later" },
	{ "GPL-3", "GPL-3.0-only" },
	{ "GPL-3+", "GPL-3.0-or-later" },
	{ "GPL-3.0-only", "GPL-3.0-only" },
	{ "GPL-3.0-or-later", "GPL-3.0-or-later" },
	{ "ISC", "ISC" },
	{ "LGPL-2", "LGPL-2.0-only" },
	{ "LGPL-2+", "LGPL-2.0-or-later" },
	{ "LGPL-2.0-or-later", "LGPL-2.0-or-later" },
	{ "LGPL-2.1", "LGPL-2.1-only" },
	{ "LGPL-2.1+", "LGPL-2.1-or-later" },
	{ "LGPL-2.1-only", "LGPL-2.1-only" },
	{ "LGPL-2.1-or-later", "LGPL-2.1-or-later" },
	{ "LGPL-3", "LGPL-3.0-only" },
	{ "LGPL-3+", "LGPL-3.0-or-later" },
	{ "LGPL-3.0-or-later", "LGPL-3.0-or-later" },
	{ "MIT", "MIT" },
	{ "MPL-1.1", "MPL-1.1" },
	{ "MPL-2.0", "MPL-2.0" },
	{ "OpenSSL", "OpenSSL" },
	{ "Unlicense", "Unlicense" },
	{ "Zlib", "Zlib" },
	{ "bzip2-1.0.6", "bzip2-1.0.6" },
	{ "curl", "curl" },
	{ "AND", "AND" },
	{ "OR", "OR" },
};

char *
packages_license(const char *text)
{
	auto_free char *copy = strdup(text);
	char *rest = copy, *word, *out = NULL;

	while (copy && (word = strsep(&rest, " \t"))) {
		const char *found = NULL;
		char *joined;

		if (!*word)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(licenses); i++) {
			if (!strcasecmp(licenses[i].name, word))
				found = licenses[i].spdx;
		}
		if (!found ||
		    asprintf(&joined, "%s%s%s", out ? out : "", out ? " " : "", found) < 0) {
			free(out);
			return NULL;
		}
		free(out);
		out = joined;
	}
	/* An expression is names and operators in turn. */
	if (out) {
		auto_free char *check = strdup(out);
		bool wants_name = true;

		for (char *at = check; at && (word = strsep(&at, " "));) {
			bool is_operator = !strcmp(word, "AND") || !strcmp(word, "OR");

			if (is_operator == wants_name) {
				free(out);
				return NULL;
			}
			wants_name = is_operator;
		}
		if (!check || wants_name) {
			free(out);
			return NULL;
		}
	}
	return out;
}
