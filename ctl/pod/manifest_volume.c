/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of a pod, and the files in them. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"

/* files of one volume */
#define FILES_MAX 512

static int manifest_read_empty_dir(struct manifest_reader *m, const struct field *f,
				   struct manifest_volume *v);
static int manifest_read_image_volume(struct manifest_reader *m, const struct field *f,
				      struct manifest_volume *v);
static int manifest_add_map(struct manifest_reader *m, const struct field *f, bool is_secret,
			    const char *name_key, unsigned int mode, struct manifest_volume *v);
static int manifest_add_downward(struct manifest_reader *m, const struct field *f,
				 unsigned int mode, struct manifest_volume *v);
static int manifest_read_projected(struct manifest_reader *m, const struct field *f,
				   struct manifest_volume *v);

/* Reads mode or defaultMode. */
static int
manifest_read_mode(struct manifest_reader *m, const struct field *f, const char *key,
		   unsigned int *mode)
{
	int64_t value = *mode;

	if (field_number(&m->r, f, key, 0, 0777, &value) < 0)
		return -1;
	*mode = (unsigned int)value;
	return 0;
}

int
manifest_read_volume(struct manifest_reader *m, const struct field *f, struct manifest_volume *v)
{
	static const struct field_keys keys = {
		"name configMap secret emptyDir hostPath projected downwardAPI "
		"persistentVolumeClaim image",
		"",
		"ephemeral csi nfs iscsi fc rbd cephfs glusterfs gitRepo "
		"awsElasticBlockStore gcePersistentDisk azureDisk azureFile cinder "
		"flexVolume flocker photonPersistentDisk portworxVolume quobyte scaleIO storageos "
		"vsphereVolume"
	};
	unsigned int mode = 0644;
	struct field source = *f;
	const char *kind = "";

	v->line = f->node->line;
	if (field_check_map(&m->r, f, &keys) < 0 || field_required(&m->r, f, "name", &v->name) < 0)
		return -1;
	if (v->name[0] == '.' || strlen(v->name) > 63 ||
	    strspn(v->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(v->name))
		return field_wrong(&m->r, f, "invalid volume name \"%.64s\"", v->name);
	if (f->node->n > 2)
		return field_wrong(&m->r, f, "more than one source");
	for (const struct yaml_node *e = f->node->first; e; e = e->next) {
		if (strcmp(e->key, "name") == 0)
			continue;
		kind = e->key;
		field_get(f, kind, &source);
	}
	/* A volume without a source is an empty directory, and "emptyDir:" has no fields. */
	if (!*kind || strcmp(kind, "emptyDir") == 0)
		return manifest_read_empty_dir(m, &source, v);
	if (strcmp(kind, "hostPath") == 0)
		return manifest_read_host_path(m, &source, v);
	if (strcmp(kind, "persistentVolumeClaim") == 0)
		return manifest_read_claim(m, &source, v);
	if (strcmp(kind, "image") == 0)
		return manifest_read_image_volume(m, &source, v);
	v->kind = VOLUME_FILES;
	v->files = arena_zalloc(m->r.arena, FILES_MAX, sizeof(*v->files));
	if (!v->files)
		return field_nomem(&m->r);
	if (strcmp(kind, "projected") == 0)
		return manifest_read_projected(m, &source, v);
	if (manifest_read_mode(m, &source, "defaultMode", &mode) < 0)
		return -1;
	if (strcmp(kind, "downwardAPI") == 0)
		return manifest_add_downward(m, &source, mode, v);
	return manifest_add_map(m, &source, strcmp(kind, "secret") == 0,
				strcmp(kind, "secret") == 0 ? "secretName" : "name", mode, v);
}

static int
manifest_read_empty_dir(struct manifest_reader *m, const struct field *f, struct manifest_volume *v)
{
	static const struct field_keys keys = { "medium sizeLimit", "", "" };
	static const struct field_keys any = { "name", "", "" };
	static const char *const media[] = { "", "Memory" };
	unsigned int medium = 0;
	struct field part;

	v->kind = VOLUME_EMPTY_DIR;
	if (field_has(f, "name"))
		return field_check_map(&m->r, f, &any);
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_choice(&m->r, f, "medium", media, ARRAY_LEN(media), &medium) < 0 ||
	    field_quantity(&m->r, f, "sizeLimit", 0, &v->size) < 0)
		return -1;
	v->in_memory = medium == 1;
	field_get(f, "sizeLimit", &part);
	return v->size && !v->in_memory ? field_ignore(&m->r, part.path) : 0;
}

static int
manifest_read_image_volume(struct manifest_reader *m, const struct field *f,
			   struct manifest_volume *v)
{
	static const struct field_keys keys = { "reference pullPolicy", "", "" };

	v->kind = VOLUME_IMAGE;
	v->read_only = true;
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_required(&m->r, f, "reference", &v->path) < 0)
		return -1;
	return field_choice(&m->r, f, "pullPolicy", manifest_pulls, MANIFEST_PULLS, &v->pull);
}

/* Adds a file, or replaces the one of this path. */
static int
manifest_add_file(struct manifest_reader *m, const struct field *f, struct manifest_volume *v,
		  const char *path, const void *bytes, size_t size, unsigned int mode)
{
	size_t i = 0;

	if (!path[0] || path[0] == '/' || path[0] == '.' || strstr(path, "..") ||
	    strlen(path) > 200)
		return field_wrong(&m->r, f, "invalid path \"%.64s\" of a file", path);
	while (i < v->n_files && strcmp(v->files[i].path, path) != 0)
		i++;
	if (i == FILES_MAX)
		return field_wrong(&m->r, f, "more than %d files", FILES_MAX);
	v->files[i] = (struct manifest_file){ path, bytes, size, mode };
	v->n_files += i == v->n_files;
	return 0;
}

/* Reads the element of an "items" list: path, mode, and the field `key` if that is not NULL. */
static int
manifest_read_item(struct manifest_reader *m, const struct field *f, const char **key,
		   const char **path, unsigned int *mode)
{
	static const struct field_keys keys = { "key path mode", "", "" };

	if ((key && field_check_map(&m->r, f, &keys) < 0) ||
	    (key && field_required(&m->r, f, "key", key) < 0) ||
	    field_required(&m->r, f, "path", path) < 0)
		return -1;
	return manifest_read_mode(m, f, "mode", mode);
}

/* Adds the files of a config map or secret. */
static int
manifest_add_map(struct manifest_reader *m, const struct field *f, bool is_secret,
		 const char *name_key, unsigned int mode, struct manifest_volume *v)
{
	static const struct field_keys config_keys = {
		"name items defaultMode optional data binaryData", "", ""
	};
	static const struct field_keys secret_keys = {
		"secretName name items defaultMode optional data stringData", "", ""
	};
	/* An extension: the content itself. */
	struct object own = { "", is_secret, *f };
	bool is_optional = false, has_own = field_has(f, "data") || field_has(f, "binaryData") ||
					    field_has(f, "stringData");
	struct object_value values[OBJECT_KEYS_MAX];
	const struct object *o = &own;
	struct field items, item;
	const char *name;
	size_t n = 0, i = 0;

	field_get(f, "items", &items);
	if (!f->node)
		return field_wrong(&m->r, f, "must be an object");
	if (field_check_map(&m->r, f, is_secret ? &secret_keys : &config_keys) < 0 ||
	    field_bool(&m->r, f, "optional", &is_optional) < 0 ||
	    field_check_list(&m->r, &items, FILES_MAX) < 0)
		return -1;
	if (!has_own) {
		if (field_required(&m->r, f, name_key, &name) < 0)
			return -1;
		o = objects_find(&m->objects, is_secret, name);
		field_get(f, name_key, &item);
		if (!o && !is_optional)
			return field_wrong(&m->r, &item, "there is no %s %.100s in the file",
					   is_secret ? "Secret" : "ConfigMap", name);
	}
	if (o && object_values(&m->r, o, values, &n) < 0)
		return -1;
	for (size_t k = 0; !items.node && k < n; k++)
		if (manifest_add_file(m, f, v, values[k].key, values[k].bytes, values[k].size,
				      mode) < 0)
			return -1;
	for (const struct yaml_node *e = items.node ? items.node->first : NULL; e; e = e->next) {
		const char *key, *path;
		unsigned int item_mode = mode;
		size_t k = 0;

		field_element(&items, e, i++, &item);
		if (manifest_read_item(m, &item, &key, &path, &item_mode) < 0)
			return -1;
		while (k < n && strcmp(values[k].key, key) != 0)
			k++;
		if (k == n && is_optional)
			continue;
		if (k == n)
			return field_wrong(&m->r, &item, "%s has no key %.64s",
					   o ? o->field.path : "it", key);
		if (manifest_add_file(m, &item, v, path, values[k].bytes, values[k].size,
				      item_mode) < 0)
			return -1;
	}
	return 0;
}

static int
manifest_add_downward(struct manifest_reader *m, const struct field *f, unsigned int mode,
		      struct manifest_volume *v)
{
	static const struct field_keys keys = { "items defaultMode", "", "" };
	static const struct field_keys item_keys = { "path mode fieldRef resourceFieldRef", "",
						     "" };
	struct field items, item, ref;
	size_t i = 0;

	field_get(f, "items", &items);
	if (field_check_map(&m->r, f, &keys) < 0 || field_check_list(&m->r, &items, FILES_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = items.node ? items.node->first : NULL; e; e = e->next) {
		const char *path, *text;
		unsigned int item_mode = mode;

		field_element(&items, e, i++, &item);
		if (field_check_map(&m->r, &item, &item_keys) < 0 ||
		    manifest_read_item(m, &item, NULL, &path, &item_mode) < 0)
			return -1;
		if (field_has(&item, "fieldRef") == field_has(&item, "resourceFieldRef"))
			return field_wrong(&m->r, &item, "must have one source");
		field_get(&item, "fieldRef", &ref);
		if (ref.node) {
			text = manifest_field_ref(m, &ref);
		} else {
			field_get(&item, "resourceFieldRef", &ref);
			text = manifest_resource_ref(m, &ref, NULL);
		}
		if (!text)
			return -1;
		if (manifest_add_file(m, &item, v, path, text, strlen(text), item_mode) < 0)
			return -1;
	}
	return 0;
}

static int
manifest_read_projected(struct manifest_reader *m, const struct field *f, struct manifest_volume *v)
{
	static const struct field_keys keys = { "sources defaultMode", "", "" };
	static const struct field_keys source_keys = {
		"configMap secret downwardAPI", "",
		"serviceAccountToken clusterTrustBundle podCertificate"
	};
	struct field sources, source, part;
	unsigned int mode = 0644;
	size_t i = 0;

	field_get(f, "sources", &sources);
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    manifest_read_mode(m, f, "defaultMode", &mode) < 0 ||
	    field_check_list(&m->r, &sources, OBJECTS_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = sources.node ? sources.node->first : NULL; e;
	     e = e->next) {
		const char *kind;
		int result;

		field_element(&sources, e, i++, &source);
		if (field_check_map(&m->r, &source, &source_keys) < 0)
			return -1;
		if (e->kind != YAML_MAP || e->n != 1)
			return field_wrong(&m->r, &source, "must have one source");
		kind = e->first->key;
		field_get(&source, kind, &part);
		result = strcmp(kind, "downwardAPI") == 0
				 ? manifest_add_downward(m, &part, mode, v)
				 : manifest_add_map(m, &part, strcmp(kind, "secret") == 0, "name",
						    mode, v);
		if (result < 0)
			return -1;
	}
	return 0;
}
