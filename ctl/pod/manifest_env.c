/* SPDX-License-Identifier: Apache-2.0 */
/* Environment of a container, and references to fields of the pod. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pod/expand.h"
#include "ctl/pod/manifest_internal.h"
#include "ctl/spec/quantity.h"
#include "lib/cleanup.h"

/* The variable of an Indexed Job's containers, unless they have one. */
#define INDEX_VARIABLE "JOB_COMPLETION_INDEX"

static int manifest_add_sources(struct manifest_reader *m, const struct field *list,
				struct manifest_container *c);
static int manifest_value_from(struct manifest_reader *m, const struct field *f,
			       const struct manifest_container *c, const char **value);

static int
manifest_add_env(struct manifest_reader *m, const struct field *f, struct manifest_container *c,
		 const char *name, const char *value)
{
	if (c->n_env == MANIFEST_ENV_MAX)
		return field_wrong(&m->r, f, "more than %d variables", MANIFEST_ENV_MAX);
	if (!*name || strchr(name, '='))
		return field_wrong(&m->r, f, "invalid variable name \"%.64s\"", name);
	c->env[c->n_env] = arena_printf(m->r.arena, "%s=%s", name, value);
	return c->env[c->n_env++] ? 0 : field_nomem(&m->r);
}

int
manifest_read_env(struct manifest_reader *m, const struct field *container,
		  struct manifest_container *c)
{
	static const struct field_keys keys = { "name value valueFrom", "", "" };
	struct field sources, list, f, from;
	bool has_index = false;
	char index[16];
	size_t i = 0;

	c->env = arena_zalloc(m->r.arena, MANIFEST_ENV_MAX, sizeof(*c->env));
	field_get(container, "envFrom", &sources);
	field_get(container, "env", &list);
	if (!c->env)
		return field_nomem(&m->r);
	if (manifest_add_sources(m, &sources, c) < 0 ||
	    field_check_list(&m->r, &list, MANIFEST_ENV_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		const char *name, *value = NULL;

		field_element(&list, e, i++, &f);
		field_get(&f, "valueFrom", &from);
		if (field_check_map(&m->r, &f, &keys) < 0 ||
		    field_required(&m->r, &f, "name", &name) < 0 ||
		    field_text(&m->r, &f, "value", &value) < 0)
			return -1;
		if (from.node && value && *value)
			return field_wrong(&m->r, &f, "has both value and valueFrom");
		/* A value may refer to the variables before it. */
		if (!from.node) {
			value = expand_text(m->r.arena, value ? value : "", c->env, c->n_env);
			if (!value)
				return field_nomem(&m->r);
		} else if (manifest_value_from(m, &from, c, &value) < 0) {
			return -1;
		}
		/* NULL: an optional key that does not exist */
		if (value && manifest_add_env(m, &f, c, name, value) < 0)
			return -1;
		has_index |= strcmp(name, INDEX_VARIABLE) == 0;
	}
	if (!m->m->job.is_indexed || has_index)
		return 0;
	(void)snprintf(index, sizeof(index), "%u", m->guest->index);
	return manifest_add_env(m, container, c, INDEX_VARIABLE, index);
}

/* Finds the object that a reference names. Sets *out to NULL if it is missing and optional. */
static int
manifest_find_object(struct manifest_reader *m, const struct field *ref, bool is_secret,
		     bool is_optional, const struct object **out)
{
	struct field f;
	const char *name;

	if (field_required(&m->r, ref, "name", &name) < 0)
		return -1;
	*out = objects_find(&m->objects, is_secret, name);
	if (*out || is_optional)
		return 0;
	field_get(ref, "name", &f);
	return field_wrong(&m->r, &f, "there is no %s %.100s in the file",
			   is_secret ? "Secret" : "ConfigMap", name);
}

/* envFrom */
static int
manifest_add_sources(struct manifest_reader *m, const struct field *list,
		     struct manifest_container *c)
{
	static const struct field_keys keys = { "prefix configMapRef secretRef", "", "" };
	static const struct field_keys ref_keys = { "name optional", "", "" };
	struct object_value values[OBJECT_KEYS_MAX];
	struct field f, ref;
	size_t i = 0, n;

	if (field_check_list(&m->r, list, OBJECTS_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = list->node ? list->node->first : NULL; e; e = e->next) {
		const struct object *o;
		const char *prefix = "";
		bool is_optional = false, is_secret;

		field_element(list, e, i++, &f);
		is_secret = field_has(&f, "secretRef");
		if (is_secret == field_has(&f, "configMapRef") &&
		    field_check_map(&m->r, &f, &keys) == 0)
			return field_wrong(&m->r, &f, "must have one source");
		field_get(&f, is_secret ? "secretRef" : "configMapRef", &ref);
		if (field_check_map(&m->r, &f, &keys) < 0 ||
		    field_text(&m->r, &f, "prefix", &prefix) < 0 ||
		    field_check_map(&m->r, &ref, &ref_keys) < 0 ||
		    field_bool(&m->r, &ref, "optional", &is_optional) < 0 ||
		    manifest_find_object(m, &ref, is_secret, is_optional, &o) < 0)
			return -1;
		if (!o)
			continue;
		if (object_values(&m->r, o, values, &n) < 0)
			return -1;
		for (size_t k = 0; k < n; k++) {
			const char *name = arena_printf(m->r.arena, "%s%s", prefix, values[k].key);
			const char *value = arena_printf(m->r.arena, "%.*s", (int)values[k].size,
							 (const char *)values[k].bytes);

			if (!name || !value)
				return field_nomem(&m->r);
			if (manifest_add_env(m, &f, c, name, value) < 0)
				return -1;
		}
	}
	return 0;
}

/* Sets *value to NULL if an optional key is missing. */
static int
manifest_value_from(struct manifest_reader *m, const struct field *from,
		    const struct manifest_container *c, const char **value)
{
	static const struct field_keys keys = {
		"fieldRef resourceFieldRef configMapKeyRef secretKeyRef", "", "fileKeyRef"
	};
	static const struct field_keys ref_keys = { "name key optional", "", "" };
	struct object_value found;
	const struct object *o;
	const char *key;
	bool is_optional = false, is_secret = field_has(from, "secretKeyRef");
	struct field ref;

	*value = NULL;
	if (field_check_map(&m->r, from, &keys) < 0)
		return -1;
	if (from->node->n != 1)
		return field_wrong(&m->r, from, "must have one source");
	field_get(from, from->node->first->key, &ref);
	if (strcmp(from->node->first->key, "fieldRef") == 0) {
		*value = manifest_field_ref(m, &ref);
		return *value ? 0 : -1;
	}
	if (strcmp(from->node->first->key, "resourceFieldRef") == 0) {
		*value = manifest_resource_ref(m, &ref, c);
		return *value ? 0 : -1;
	}
	if (field_check_map(&m->r, &ref, &ref_keys) < 0 ||
	    field_bool(&m->r, &ref, "optional", &is_optional) < 0 ||
	    field_required(&m->r, &ref, "key", &key) < 0 ||
	    manifest_find_object(m, &ref, is_secret, is_optional, &o) < 0)
		return -1;
	if (!o)
		return 0;
	if (object_value(&m->r, o, key, &found) < 0)
		return -1;
	if (!found.key && is_optional)
		return 0;
	if (!found.key)
		return field_wrong(&m->r, &ref, "%s has no key %.64s", o->field.path, key);
	*value = arena_printf(m->r.arena, "%.*s", (int)found.size, (const char *)found.bytes);
	return *value ? 0 : field_nomem(&m->r);
}

/* ---- references to fields ---- */

/* Returns one value of labels or annotations, or "". */
static const char *
manifest_map_value(const struct field *map, const char *key, size_t n)
{
	for (const struct yaml_node *e = map->node ? map->node->first : NULL; e; e = e->next)
		if (strlen(e->key) == n && strncmp(e->key, key, n) == 0)
			return e->text ? e->text : "";
	return "";
}

static int
manifest_compare_keys(const void *a, const void *b)
{
	const struct yaml_node *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* Returns labels or annotations as a file of the downward API has them: sorted, as quoted strings
 * of Go. */
static const char *
manifest_map_text(struct manifest_reader *m, const struct field *map)
{
	const struct yaml_node **sorted;
	size_t n = 0;
	char *text = arena_strdup(m->r.arena, "");

	if (!map->node || map->node->kind != YAML_MAP)
		return text;
	sorted = arena_zalloc(m->r.arena, map->node->n + 1, sizeof(*sorted));
	if (!sorted)
		return NULL;
	for (const struct yaml_node *e = map->node->first; e; e = e->next)
		sorted[n++] = e;
	qsort(sorted, n, sizeof(*sorted), manifest_compare_keys);
	for (size_t i = 0; text && i < n; i++) {
		const char *value = sorted[i]->text ? sorted[i]->text : "";
		char *quoted = arena_alloc(m->r.arena, 2 * strlen(value) + 1), *to = quoted;

		for (; quoted && *value; value++) {
			if (strchr("\"\\\n\t", *value))
				*to++ = '\\';
			*to++ = (char)(*value == '\n' ? 'n' : *value == '\t' ? 't' : *value);
		}
		if (!quoted)
			return NULL;
		*to = '\0';
		text = arena_printf(m->r.arena, "%s%s=\"%s\"\n", text, sorted[i]->key, quoted);
	}
	return text;
}

const char *
manifest_field_ref(struct manifest_reader *m, const struct field *ref)
{
	static const struct field_keys keys = { "fieldPath", "apiVersion", "" };
	const struct {
		const char *path, *value;
	} rows[] = {
		{ "metadata.name", m->m->pod_name },      { "metadata.namespace", "default" },
		{ "metadata.uid", m->guest->uid },        { "spec.nodeName", "tatami" },
		{ "spec.serviceAccountName", "default" }, { "status.podIP", m->guest->ip },
		{ "status.podIPs", m->guest->ip },        { "status.hostIP", m->guest->host_ip },
		{ "status.hostIPs", m->guest->host_ip },
	};
	static const char *const maps[] = { "labels", "annotations" };
	const char *path, *value = NULL;
	struct field f, map;

	if (field_check_map(&m->r, ref, &keys) < 0 ||
	    field_required(&m->r, ref, "fieldPath", &path) < 0)
		return NULL;
	field_get(ref, "fieldPath", &f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(path, rows[i].path) == 0)
			return rows[i].value;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		char prefix[32];
		size_t n = (size_t)snprintf(prefix, sizeof(prefix), "metadata.%s", maps[i]);
		size_t length = strlen(path);

		if (strncmp(path, prefix, n) != 0)
			continue;
		field_get(&m->objects.template_metadata, maps[i], &map);
		if (m->maps[i])
			map.node = m->maps[i];
		if (i == 0)
			m->has_used_labels = true;
		else
			m->has_used_annotations = true;
		if (!path[n])
			value = manifest_map_text(m, &map);
		else if (length > n + 4 && strncmp(path + n, "['", 2) == 0 &&
			 strcmp(path + length - 2, "']") == 0)
			value = manifest_map_value(&map, path + n + 2, length - n - 4);
		else
			break;
		if (!value)
			(void)field_nomem(&m->r);
		return value;
	}
	(void)field_wrong(&m->r, &f, "\"%.64s\" is not supported", path);
	return NULL;
}

const char *
manifest_resource_ref(struct manifest_reader *m, const struct field *ref,
		      const struct manifest_container *c)
{
	static const struct field_keys keys = { "containerName resource divisor", "", "" };
	const char *name = NULL, *resource, *text;
	uint64_t value, divisor = 0;
	bool is_cpu;
	struct field f;

	if (field_check_map(&m->r, ref, &keys) < 0 ||
	    field_text(&m->r, ref, "containerName", &name) < 0 ||
	    field_required(&m->r, ref, "resource", &resource) < 0)
		return NULL;
	if (name) {
		c = NULL;
		for (size_t i = 0; i <= m->m->n_containers && i < MANIFEST_CONTAINERS_MAX; i++)
			if (m->m->containers[i].name && strcmp(m->m->containers[i].name, name) == 0)
				c = &m->m->containers[i];
	}
	field_get(ref, "resource", &f);
	if (!c) {
		(void)field_wrong(&m->r, ref,
				  name ? "unknown container %.64s" : "containerName is missing%s",
				  name ? name : "");
		return NULL;
	}
	is_cpu = strstr(resource, ".cpu") != NULL;
	if (strcmp(resource, "limits.cpu") == 0)
		value = c->milli ? c->milli : m->guest->cpus * 1000ull;
	else if (strcmp(resource, "requests.cpu") == 0)
		value = c->requested_milli;
	else if (strcmp(resource, "limits.memory") == 0)
		value = c->memory ? c->memory : m->guest->memory;
	else if (strcmp(resource, "requests.memory") == 0)
		value = c->requested_memory;
	else if (strcmp(resource, "requests.ephemeral-storage") == 0 ||
		 (strcmp(resource, "limits.ephemeral-storage") == 0 && c->storage))
		value = resource[0] == 'l' ? c->storage : c->requested_storage;
	else if (strcmp(resource, "limits.ephemeral-storage") == 0) {
		(void)field_wrong(&m->r, &f, "the container has no %.64s", resource);
		return NULL;
	} else {
		(void)field_wrong(&m->r, &f, "\"%.64s\" is not supported", resource);
		return NULL;
	}
	if (field_quantity(&m->r, ref, "divisor", is_cpu ? 3 : 0, &divisor) < 0)
		return NULL;
	/* "0" stands for 1. */
	if (divisor == 0)
		divisor = is_cpu ? 1000 : 1;
	text = arena_printf(m->r.arena, "%llu",
			    (unsigned long long)((value + divisor - 1) / divisor));
	if (!text)
		(void)field_nomem(&m->r);
	return text;
}
