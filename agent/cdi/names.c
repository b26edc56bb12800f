/* SPDX-License-Identifier: Apache-2.0 */
/* See names.h. */
#include "agent/cdi/names.h"

#include <stdio.h>
#include <string.h>

#define ANNOTATION "cdi.k8s.io/"
#define VARIABLE   "VISIBLE_CDI_DEVICES="

/* Kata's annotation with the kind of a container. */
#define CONTAINER_TYPE "io.katacontainers.pkg.oci.container_type"

static int names_add_visible(struct arena *arena, const char *value, struct cdi_names *out,
			     struct error *err);

static bool
names_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
names_is_alnum(char c)
{
	return names_is_letter(c) || (c >= '0' && c <= '9');
}

/* Returns whether n bytes are one part of a name: letters, digits and `marks`, with a letter or
 * digit at both ends. */
static bool
names_part_is_valid(const char *text, size_t n, const char *marks)
{
	if (n == 0 || n > CDI_PART_MAX || !names_is_alnum(text[0]) || !names_is_alnum(text[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!names_is_alnum(text[i]) && (text[i] == '\0' || !strchr(marks, text[i])))
			return false;
	}
	return true;
}

bool
cdi_kind_is_valid(const char *kind)
{
	size_t n = strcspn(kind, "/");

	return kind[n] == '/' && names_is_letter(kind[0]) && names_is_letter(kind[n + 1]) &&
	       names_part_is_valid(kind, n, "_-.") &&
	       names_part_is_valid(kind + n + 1, strlen(kind + n + 1), "_-.");
}

bool
cdi_device_is_valid(const char *device)
{
	return names_part_is_valid(device, strlen(device), "_-.:");
}

/* Adds a device, unless it is on the list already. Takes the texts. */
static int
names_add(struct cdi_names *out, const char *kind, const char *device, struct error *err)
{
	if (!cdi_kind_is_valid(kind) || !cdi_device_is_valid(device))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid CDI device \"%.128s=%.128s\"", kind, device);
	for (size_t i = 0; i < out->n; i++) {
		if (strcmp(out->list[i].kind, kind) == 0 &&
		    strcmp(out->list[i].device, device) == 0)
			return 0;
	}
	if (out->n == CDI_NAMES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d CDI devices",
				 CDI_NAMES_MAX);
	out->list[out->n++] = (struct cdi_name){ kind, device };
	return 0;
}

/* Adds the devices of an annotation: names, separated by commas. */
static int
names_add_annotation(struct arena *arena, const Grpc__Spec__AnnotationsEntry *a,
		     struct cdi_names *out, struct error *err)
{
	char *rest = arena_strdup(arena, a->value);

	if (!rest)
		return error_nomem(err, "reading the names of CDI devices");
	while (rest) {
		char *name = strsep(&rest, ",");
		char *device = strchr(name, '=');

		if (!device)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"annotation %.128s: invalid CDI device \"%.128s\": expected "
				"<vendor>/<class>=<device>",
				a->key, name);
		*device++ = '\0';
		if (names_add(out, name, device, err) < 0)
			return error_wrap(err, "annotation %.128s", a->key);
	}
	return 0;
}

int
cdi_names_find(struct arena *arena, const Grpc__Spec *spec, bool visible, struct cdi_names *out,
	       struct error *err)
{
	const Grpc__Process *process = spec->process;

	*out = (struct cdi_names){ 0 };
	for (size_t i = 0; i < spec->n_annotations; i++) {
		if (strcmp(spec->annotations[i]->key, CONTAINER_TYPE) == 0 &&
		    strcmp(spec->annotations[i]->value, "pod_sandbox") == 0)
			return 0;
	}
	out->list = arena_zalloc(arena, CDI_NAMES_MAX, sizeof(*out->list));
	if (!out->list)
		return error_nomem(err, "reading the names of CDI devices");
	for (size_t i = 0; i < spec->n_annotations; i++) {
		if (strncmp(spec->annotations[i]->key, ANNOTATION, strlen(ANNOTATION)) == 0 &&
		    names_add_annotation(arena, spec->annotations[i], out, err) < 0)
			return -1;
	}
	for (size_t i = 0; visible && process && i < process->n_env; i++) {
		if (strncmp(process->env[i], VARIABLE, strlen(VARIABLE)) == 0 &&
		    names_add_visible(arena, process->env[i] + strlen(VARIABLE), out, err) < 0)
			return error_wrap(err, "%.*s", (int)strlen(VARIABLE) - 1, VARIABLE);
	}
	return 0;
}

/* Adds the devices of one kind: "all", or numbers separated by commas. */
static int
names_add_indices(const char *kind, char *rest, struct cdi_names *out, struct error *err)
{
	if (strcmp(rest, "all") == 0)
		return names_add(out, kind, rest, err);
	while (rest) {
		const char *index = strsep(&rest, ",");

		if (!*index || index[strspn(index, "0123456789")])
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "%.128s: invalid index \"%.64s\": expected numbers or "
					 "\"all\"",
					 kind, index);
		if (names_add(out, kind, index, err) < 0)
			return -1;
	}
	return 0;
}

/* Adds the devices of the variable: "<kind>=all:<kind>=0,1", or a word for none. */
static int
names_add_visible(struct arena *arena, const char *value, struct cdi_names *out, struct error *err)
{
	static const char *const none[] = { "", "none", "void" };
	char *rest;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (strcmp(value, none[i]) == 0)
			return 0;
	}
	rest = arena_strdup(arena, value);
	if (!rest)
		return error_nomem(err, "reading the names of CDI devices");
	while (rest) {
		char *kind = strsep(&rest, ":");
		char *indices = strchr(kind, '=');

		if (!indices)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid part \"%.128s\": expected <kind>=<indices>",
					 kind);
		*indices++ = '\0';
		if (names_add_indices(kind, indices, out, err) < 0)
			return -1;
	}
	return 0;
}
