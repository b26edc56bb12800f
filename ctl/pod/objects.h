/* SPDX-License-Identifier: Apache-2.0 */
/* The objects in a file of Kubernetes' documents: one pod, or a template for pods, and the config
 * maps and secrets that it uses. Pure. */
#pragma once

#include "ctl/pod/field.h"

#define OBJECTS_MAX 64
/* keys of a config map or secret */
#define OBJECT_KEYS_MAX 256

struct object {
	const char *name;
	bool is_secret;
	/* the object itself; with data, binaryData or stringData */
	struct field field;
	/* for a claim or volume */
	bool is_used;
};

struct objects {
	/* config maps and secrets */
	struct object maps[OBJECTS_MAX];
	size_t n_maps;
	/* PersistentVolumeClaims and PersistentVolumes */
	struct object claims[OBJECTS_MAX], volumes[OBJECTS_MAX];
	size_t n_claims, n_volumes;
	/* kind of the object that has the pod, its metadata, those of its template, and the spec */
	const char *kind;
	struct field metadata, template_metadata, spec;
	/* volumeClaimTemplates of a StatefulSet; spec of a Job */
	struct field claim_templates, job;
};

/* A value of a config map or secret, in the reader's arena. */
struct object_value {
	const char *key;
	const void *bytes;
	size_t size;
};

/* Sorts the documents of a file. Other kinds of objects are reported as ignored. Returns -1 and the
 * reader's error if there is not exactly one pod. */
int objects_read(struct field_reader *r, const struct yaml_node *documents, struct objects *o);

/* Returns the config map or secret of that name, or NULL. */
const struct object *objects_find(const struct objects *o, bool is_secret, const char *name);

/* Reads all values of an object, the last one of each key. */
int object_values(struct field_reader *r, const struct object *o,
		  struct object_value values[OBJECT_KEYS_MAX], size_t *n);

/* Reads one value. Sets out->key to NULL if there is no such key. */
int object_value(struct field_reader *r, const struct object *o, const char *key,
		 struct object_value *out);
