/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in a file of Kubernetes' documents; see objects.h. */
#include "ctl/pod/objects.h"

#include <stdio.h>
#include <string.h>

#include "ctl/json/base64.h"
#include "lib/cleanup.h"

/* Kinds whose spec has a template for pods, and the fields of that spec. */
static const struct {
	const char *kind;
	struct field_keys keys;
} templates[] = {
	{ "Deployment",
	  { "template",
	    "replicas selector strategy minReadySeconds revisionHistoryLimit paused "
	    "progressDeadlineSeconds",
	    "" } },
	{ "ReplicaSet", { "template", "replicas selector minReadySeconds", "" } },
	{ "ReplicationController", { "template", "replicas selector minReadySeconds", "" } },
	{ "StatefulSet",
	  { "template volumeClaimTemplates",
	    "replicas selector serviceName updateStrategy podManagementPolicy minReadySeconds "
	    "revisionHistoryLimit persistentVolumeClaimRetentionPolicy ordinals",
	    "" } },
	{ "DaemonSet",
	  { "template", "selector updateStrategy minReadySeconds revisionHistoryLimit", "" } },
	{ "Job",
	  { "template parallelism completions completionMode backoffLimit backoffLimitPerIndex "
	    "maxFailedIndexes activeDeadlineSeconds",
	    "ttlSecondsAfterFinished suspend selector manualSelector podReplacementPolicy "
	    "managedBy",
	    "podFailurePolicy successPolicy" } },
};

static int objects_read_one(struct field_reader *r, const struct field *f, struct objects *o);

int
objects_read(struct field_reader *r, const struct yaml_node *documents, struct objects *o)
{
	struct field f = { .path = "" };

	for (const struct yaml_node *e = documents->first; e; e = e->next) {
		f.node = e;
		if (!yaml_is_null(e) && objects_read_one(r, &f, o) < 0)
			return -1;
	}
	if (!o->kind)
		return error_set(r->err, ERROR_INVALID_ARGUMENT, "there is no Pod in it");
	return 0;
}

static int
objects_take_pod(struct field_reader *r, const struct field *top, const char *kind,
		 const struct field *metadata, const struct field *pod, struct objects *o)
{
	if (o->kind)
		return field_wrong(r, top, "a second pod: one VM has one");
	o->kind = kind;
	o->metadata = *metadata;
	field_get(pod, "metadata", &o->template_metadata);
	field_get(pod, "spec", &o->spec);
	if (!o->spec.node)
		return field_wrong(r, pod, "spec is missing");
	return 0;
}

/* Takes the pod from the template in the spec of an object. */
static int
objects_take_template(struct field_reader *r, const struct field *top, const char *kind,
		      const struct field *metadata, const struct field *spec,
		      const struct field_keys *keys, struct objects *o)
{
	static const struct field_keys pod_keys = { "metadata spec", "", "" };
	struct field pod;

	if (field_check_map(r, spec, keys) < 0)
		return -1;
	field_get(spec, "template", &pod);
	field_get(spec, "volumeClaimTemplates", &o->claim_templates);
	if (strcmp(kind, "Job") == 0 || strcmp(kind, "CronJob") == 0)
		o->job = *spec;
	if (!pod.node)
		return field_wrong(r, spec, "template is missing");
	if (field_check_map(r, &pod, &pod_keys) < 0)
		return -1;
	return objects_take_pod(r, top, kind, metadata, &pod, o);
}

static int
objects_take_map(struct field_reader *r, const struct field *top, bool is_secret,
		 const struct field *metadata, struct objects *o)
{
	static const struct field_keys config = { "apiVersion kind metadata data binaryData",
						  "immutable", "" };
	static const struct field_keys secret = { "apiVersion kind metadata data stringData",
						  "type immutable", "" };
	struct object *map = &o->maps[o->n_maps];

	if (o->n_maps == OBJECTS_MAX)
		return field_wrong(r, top, "more than %d config maps and secrets", OBJECTS_MAX);
	if (field_required(r, metadata, "name", &map->name) < 0)
		return -1;
	map->is_secret = is_secret;
	map->field = *top;
	(void)snprintf(map->field.path, sizeof(map->field.path), "%s %.100s",
		       is_secret ? "Secret" : "ConfigMap", map->name);
	o->n_maps++;
	return field_check_map(r, &map->field, is_secret ? &secret : &config);
}

/* Keeps a claim or volume, which is checked once the pod uses it. */
static int
objects_take_storage(struct field_reader *r, const struct field *top, const char *kind,
		     const struct field *metadata, struct object *list, size_t *n)
{
	struct object *o = &list[*n];

	if (*n == OBJECTS_MAX)
		return field_wrong(r, top, "more than %d objects of a kind", OBJECTS_MAX);
	if (field_required(r, metadata, "name", &o->name) < 0)
		return -1;
	o->field = *top;
	(void)snprintf(o->field.path, sizeof(o->field.path), "%s %.100s", kind, o->name);
	++*n;
	return 0;
}

/* A List of objects. */
static int
objects_read_list(struct field_reader *r, const struct field *top, struct objects *o)
{
	struct field items, f = { .path = "" };

	field_get(top, "items", &items);
	if (field_check_list(r, &items, OBJECTS_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = items.node ? items.node->first : NULL; e; e = e->next) {
		f.node = e;
		if (objects_read_one(r, &f, o) < 0)
			return -1;
	}
	return 0;
}

static int
objects_read_one(struct field_reader *r, const struct field *top, struct objects *o)
{
	static const struct field_keys pod_keys = { "apiVersion kind metadata spec", "status", "" };
	static const struct field_keys list_keys = { "apiVersion kind metadata items", "", "" };
	static const struct field_keys cron_keys = {
		"jobTemplate",
		"schedule timeZone startingDeadlineSeconds concurrencyPolicy suspend "
		"successfulJobsHistoryLimit failedJobsHistoryLimit",
		""
	};
	static const struct field_keys job_keys = { "metadata spec", "", "" };
	const char *kind = "Pod", *name = "?", *text;
	struct field metadata, spec, job;

	if (top->node->kind != YAML_MAP)
		return error_set(r->err, ERROR_INVALID_ARGUMENT,
				 "line %u: a document is not an object", top->node->line);
	if (field_text(r, top, "kind", &kind) < 0)
		return -1;
	field_get(top, "metadata", &metadata);
	field_get(top, "spec", &spec);
	if (strcmp(kind, "List") == 0)
		return field_check_map(r, top, &list_keys) < 0 ? -1 : objects_read_list(r, top, o);
	if (strcmp(kind, "ConfigMap") == 0 || strcmp(kind, "Secret") == 0)
		return objects_take_map(r, top, strcmp(kind, "Secret") == 0, &metadata, o);
	if (strcmp(kind, "PersistentVolumeClaim") == 0)
		return objects_take_storage(r, top, kind, &metadata, o->claims, &o->n_claims);
	if (strcmp(kind, "PersistentVolume") == 0)
		return objects_take_storage(r, top, kind, &metadata, o->volumes, &o->n_volumes);
	if (strcmp(kind, "Pod") == 0) {
		if (field_check_map(r, top, &pod_keys) < 0)
			return -1;
		return objects_take_pod(r, top, kind, &metadata, top, o);
	}
	if (strcmp(kind, "CronJob") == 0) {
		if (field_check_map(r, top, &pod_keys) < 0 ||
		    field_check_map(r, &spec, &cron_keys) < 0)
			return -1;
		field_get(&spec, "jobTemplate", &job);
		if (field_check_map(r, &job, &job_keys) < 0)
			return -1;
		field_get(&job, "spec", &spec);
	}
	for (size_t i = 0; i < ARRAY_LEN(templates); i++) {
		if (strcmp(kind, templates[i].kind) != 0 &&
		    (strcmp(kind, "CronJob") != 0 || strcmp(templates[i].kind, "Job") != 0))
			continue;
		return field_check_map(r, top, &pod_keys) < 0
			       ? -1
			       : objects_take_template(r, top, kind, &metadata, &spec,
						       &templates[i].keys, o);
	}
	if (field_text(r, &metadata, "name", &name) < 0)
		return -1;
	text = arena_printf(r->arena, "%.60s %.100s", kind, name);
	return text ? field_ignore(r, text) : field_nomem(r);
}

const struct object *
objects_find(const struct objects *o, bool is_secret, const char *name)
{
	for (size_t i = 0; i < o->n_maps; i++)
		if (o->maps[i].is_secret == is_secret && strcmp(o->maps[i].name, name) == 0)
			return &o->maps[i];
	return NULL;
}

static int
object_read_value(struct field_reader *r, const struct field *f, const char *key, bool is_base64,
		  struct object_value *out)
{
	const char *text = field_string(r, f);
	size_t n = 0;
	auto_free uint8_t *bytes = NULL;

	*out = (struct object_value){ key, "", 0 };
	if (!text)
		return -1;
	if (!is_base64) {
		*out = (struct object_value){ key, text, strlen(text) };
		return 0;
	}
	/* A block of text may be broken into lines. */
	{
		char *joined = arena_strdup(r->arena, text), *to = joined;

		if (!joined)
			return field_nomem(r);
		for (; *text; text++)
			if (!strchr(" \n\r\t", *text))
				*to++ = *text;
		*to = '\0';
		bytes = base64_decode(joined, strlen(joined), &n);
	}
	if (!bytes)
		return field_wrong(r, f, "invalid base64");
	*out = (struct object_value){ key, arena_memdup(r->arena, bytes, n ? n : 1), n };
	return out->bytes ? 0 : field_nomem(r);
}

int
object_values(struct field_reader *r, const struct object *o,
	      struct object_value values[OBJECT_KEYS_MAX], size_t *n)
{
	const struct {
		const char *name;
		bool is_base64;
	} members[] = {
		{ "data", o->is_secret },
		{ "binaryData", true },
		/* replaces data */
		{ "stringData", false },
	};
	struct field map, f;

	*n = 0;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		field_get(&o->field, members[i].name, &map);
		if (field_check_any_map(r, &map, OBJECT_KEYS_MAX) < 0)
			return -1;
		for (const struct yaml_node *e = map.node ? map.node->first : NULL; e;
		     e = e->next) {
			size_t k = 0;

			while (k < *n && strcmp(values[k].key, e->key) != 0)
				k++;
			if (k == OBJECT_KEYS_MAX)
				return field_wrong(r, &map, "more than %d keys", OBJECT_KEYS_MAX);
			field_get(&map, e->key, &f);
			if (!f.node)
				values[k] = (struct object_value){ e->key, "", 0 };
			else if (object_read_value(r, &f, e->key, members[i].is_base64,
						   &values[k]) < 0)
				return -1;
			*n += k == *n;
		}
	}
	return 0;
}

int
object_value(struct field_reader *r, const struct object *o, const char *key,
	     struct object_value *out)
{
	struct object_value values[OBJECT_KEYS_MAX];
	size_t n;

	*out = (struct object_value){ 0 };
	if (object_values(r, o, values, &n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(values[i].key, key) == 0)
			*out = values[i];
	return 0;
}
