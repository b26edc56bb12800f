/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes on the host: hostPath, and what a pod has by a claim. A claim is bound to what the user
 * gives (--claim), or to a PersistentVolume of the file that is a directory of the host, by the
 * rules of a cluster: the one that claim or volume names, or else the smallest of the same class
 * that is large enough and has the access modes.
 */
#include <string.h>

#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"

#define MODES_MAX 8

/* A claim that is to be bound. */
struct claim {
	/* names for --claim; the second may be NULL */
	const char *name, *alias;
	/* the field for errors */
	const struct field *at;
	/* its specification */
	const char *class, *volume;
	uint64_t size;
	const char **modes;
};

static int claim_read_spec(struct manifest_reader *m, const struct field *object,
			   struct claim *claim);
static int claim_bind(struct manifest_reader *m, const struct claim *claim,
		      struct manifest_volume *v);
static int claim_fits(struct manifest_reader *m, const struct claim *claim,
		      const struct object *volume, bool *fits, bool *is_named, uint64_t *size);
static int claim_take_volume(struct manifest_reader *m, const struct field *object,
			     struct manifest_volume *v);

int
manifest_read_host_path(struct manifest_reader *m, const struct field *f, struct manifest_volume *v)
{
	static const struct field_keys keys = { "path type", "", "" };
	static const char *const types[] = { "", "Directory", "DirectoryOrCreate", "File",
					     "FileOrCreate" };
	unsigned int type = 0;

	v->kind = VOLUME_HOST_PATH;
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_required(&m->r, f, "path", &v->path) < 0 ||
	    field_choice(&m->r, f, "type", types, ARRAY_LEN(types), &type) < 0)
		return -1;
	v->is_directory = type == 1 || type == 2;
	v->is_file = type == 3 || type == 4;
	v->make = type == 2 || type == 4;
	return v->path[0] == '/' ? 0 : field_wrong(&m->r, f, "path is not absolute");
}

int
manifest_read_claim(struct manifest_reader *m, const struct field *f, struct manifest_volume *v)
{
	static const struct field_keys keys = { "claimName readOnly", "", "" };
	struct claim claim = { .class = "" };
	struct object *object = NULL;
	struct field name;

	if (!f->node)
		return field_wrong(&m->r, f, "must be an object");
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_required(&m->r, f, "claimName", &claim.name) < 0 ||
	    field_bool(&m->r, f, "readOnly", &v->read_only) < 0)
		return -1;
	field_get(f, "claimName", &name);
	claim.at = &name;
	for (size_t i = 0; i < m->objects.n_claims; i++)
		if (strcmp(m->objects.claims[i].name, claim.name) == 0)
			object = &m->objects.claims[i];
	if (object) {
		object->is_used = true;
		if (claim_read_spec(m, &object->field, &claim) < 0)
			return -1;
	}
	return claim_bind(m, &claim, v);
}

int
manifest_read_claim_templates(struct manifest_reader *m)
{
	static const struct field_keys keys = { "apiVersion kind metadata spec", "status", "" };
	const struct field *list = &m->objects.claim_templates;
	struct manifest *out = m->m;
	size_t i = 0;

	if (field_check_list(&m->r, list, MANIFEST_VOLUMES_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = list->node ? list->node->first : NULL; e; e = e->next) {
		struct manifest_volume *v = NULL;
		struct claim claim = { .class = "" };
		struct field f, metadata;

		field_element(list, e, i++, &f);
		field_get(&f, "metadata", &metadata);
		claim.at = &f;
		if (field_check_map(&m->r, &f, &keys) < 0 ||
		    field_required(&m->r, &metadata, "name", &claim.alias) < 0)
			return -1;
		/* The claim of the first pod of a set. */
		claim.name = arena_printf(m->r.arena, "%s-%s-0", claim.alias, out->name);
		if (!claim.name)
			return field_nomem(&m->r);
		/* A volume of the template's name is replaced. */
		for (size_t k = 0; k < out->n_volumes; k++)
			if (strcmp(out->volumes[k].name, claim.alias) == 0)
				v = &out->volumes[k];
		if (!v && out->n_volumes == MANIFEST_VOLUMES_MAX)
			return field_wrong(&m->r, &f, "more than %d volumes", MANIFEST_VOLUMES_MAX);
		if (!v)
			v = &out->volumes[out->n_volumes++];
		*v = (struct manifest_volume){ .name = claim.alias, .line = e->line };
		if (claim_read_spec(m, &f, &claim) < 0 || claim_bind(m, &claim, v) < 0)
			return -1;
	}
	return 0;
}

int
manifest_ignore_claims(struct manifest_reader *m)
{
	for (size_t i = 0; i < m->objects.n_claims + m->objects.n_volumes; i++) {
		const struct object *o = i < m->objects.n_claims
						 ? &m->objects.claims[i]
						 : &m->objects.volumes[i - m->objects.n_claims];

		if (!o->is_used && field_ignore(&m->r, o->field.path) < 0)
			return -1;
	}
	return 0;
}

/* Reads the specification of a claim. */
static int
claim_read_spec(struct manifest_reader *m, const struct field *object, struct claim *claim)
{
	static const struct field_keys keys = {
		"accessModes storageClassName resources volumeMode volumeName",
		"volumeAttributesClassName", "selector dataSource dataSourceRef"
	};
	static const char *const modes[] = { "Filesystem" };
	static const struct field_keys resource_keys = { "requests", "limits", "" };
	static const struct field_keys kinds = { "storage", "", "" };
	struct field spec, resources, requests;
	unsigned int mode = 0;
	size_t n;

	field_get(object, "spec", &spec);
	field_get(&spec, "resources", &resources);
	field_get(&resources, "requests", &requests);
	if (field_check_map(&m->r, &spec, &keys) < 0 ||
	    field_words(&m->r, &spec, "accessModes", MODES_MAX, &claim->modes, &n) < 0 ||
	    field_text(&m->r, &spec, "storageClassName", &claim->class) < 0 ||
	    field_text(&m->r, &spec, "volumeName", &claim->volume) < 0 ||
	    field_choice(&m->r, &spec, "volumeMode", modes, ARRAY_LEN(modes), &mode) < 0 ||
	    field_check_map(&m->r, &resources, &resource_keys) < 0 ||
	    field_check_map(&m->r, &requests, &kinds) < 0)
		return -1;
	return field_quantity(&m->r, &requests, "storage", 0, &claim->size);
}

static bool
claim_is_given(const struct manifest_claim *given, const char *name)
{
	return name && strlen(name) == given->n_name &&
	       strncmp(given->name, name, given->n_name) == 0;
}

static int
claim_bind(struct manifest_reader *m, const struct claim *claim, struct manifest_volume *v)
{
	struct object *best = NULL;
	uint64_t best_size = 0;
	bool best_is_named = false;

	v->kind = VOLUME_HOST_PATH;
	v->may_be_disk = true;
	for (size_t i = 0; i < m->guest->n_claims; i++) {
		if (claim_is_given(&m->guest->claims[i], claim->name) ||
		    claim_is_given(&m->guest->claims[i], claim->alias)) {
			v->path = m->guest->claims[i].path;
			return 0;
		}
	}
	for (size_t i = 0; i < m->objects.n_volumes; i++) {
		struct object *o = &m->objects.volumes[i];
		bool fits, is_named;
		uint64_t size;

		if (claim_fits(m, claim, o, &fits, &is_named, &size) < 0)
			return -1;
		if (!fits || o->is_used || (best && best_is_named) ||
		    (best && !is_named && size >= best_size))
			continue;
		best = o;
		best_size = size;
		best_is_named = is_named;
	}
	if (!best)
		return field_wrong(&m->r, claim->at,
				   "no PersistentVolume of the file fits the claim: give its "
				   "directory or disk by --claim %s=PATH",
				   claim->alias ? claim->alias : claim->name);
	best->is_used = true;
	return claim_take_volume(m, &best->field, v);
}

/* Sets *fits to whether a claim may be bound to a volume, *is_named to whether one names the
 * other. */
static int
claim_fits(struct manifest_reader *m, const struct claim *claim, const struct object *volume,
	   bool *fits, bool *is_named, uint64_t *size)
{
	const char *class = "", *bound = NULL, **modes = NULL;
	struct field spec, capacity, reference;
	size_t n;

	*size = 0;
	field_get(&volume->field, "spec", &spec);
	field_get(&spec, "capacity", &capacity);
	field_get(&spec, "claimRef", &reference);
	if (field_text(&m->r, &spec, "storageClassName", &class) < 0 ||
	    field_words(&m->r, &spec, "accessModes", MODES_MAX, &modes, &n) < 0 ||
	    field_quantity(&m->r, &capacity, "storage", 0, size) < 0 ||
	    field_text(&m->r, &reference, "name", &bound) < 0)
		return -1;
	*is_named = (claim->volume && strcmp(claim->volume, volume->name) == 0) ||
		    (!claim->volume && bound && strcmp(bound, claim->name) == 0);
	*fits = *is_named || (!claim->volume && !bound && strcmp(class, claim->class) == 0 &&
			      *size >= claim->size);
	for (const char **mode = claim->modes; *fits && !*is_named && mode && *mode; mode++) {
		size_t i = 0;

		while (i < n && strcmp(modes[i], *mode) != 0)
			i++;
		*fits = i < n;
	}
	return 0;
}

/* Takes the directory of a PersistentVolume. */
static int
claim_take_volume(struct manifest_reader *m, const struct field *object, struct manifest_volume *v)
{
	static const struct field_keys object_keys = { "apiVersion kind metadata spec", "status",
						       "" };
	static const struct field_keys keys = {
		"capacity accessModes storageClassName claimRef volumeMode hostPath local",
		"persistentVolumeReclaimPolicy nodeAffinity mountOptions "
		"volumeAttributesClassName",
		"awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker "
		"gcePersistentDisk glusterfs iscsi nfs photonPersistentDisk portworxVolume quobyte "
		"rbd scaleIO storageos vsphereVolume"
	};
	static const struct field_keys local_keys = { "path", "fsType", "" };
	static const char *const modes[] = { "Filesystem" };
	struct field spec, source;
	unsigned int mode = 0;

	field_get(object, "spec", &spec);
	if (field_check_map(&m->r, object, &object_keys) < 0 ||
	    field_check_map(&m->r, &spec, &keys) < 0 ||
	    field_choice(&m->r, &spec, "volumeMode", modes, ARRAY_LEN(modes), &mode) < 0)
		return -1;
	field_get(&spec, "hostPath", &source);
	if (source.node) {
		v->may_be_disk = false;
		return manifest_read_host_path(m, &source, v);
	}
	field_get(&spec, "local", &source);
	if (!source.node)
		return field_wrong(&m->r, &spec, "hostPath or local is missing");
	if (field_check_map(&m->r, &source, &local_keys) < 0 ||
	    field_required(&m->r, &source, "path", &v->path) < 0)
		return -1;
	return v->path[0] == '/' ? 0 : field_wrong(&m->r, &source, "path is not absolute");
}
