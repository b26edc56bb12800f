/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a container image, as an OCI image layout (a directory, or a tar of one) or as written by
 * `docker save`. Format: https://github.com/opencontainers/image-spec, version 1.1.
 *
 *   index.json -> [index ->] manifest -> config, layers
 *   manifest.json -> config, layers                        (docker save, before version 25)
 *
 * The digest of every blob is verified, and that of every layer without its compression. Of the
 * configuration only the platform matters here; it is kept for a description of the image.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/input/oci_layer.h"
#include "rootfs-builder/input/oci_store.h"
#include "rootfs-builder/work/hash.h"

/* An index in an index in the index. */
#define INDEX_DEPTH_MAX 4

struct oci {
	struct build *build;
	/* Tag or name of the image, or "sha256:...", or NULL. */
	const char *wanted;
	/* Files of the layout. */
	struct image store;
	/* Architecture as in Go. */
	const char *arch;
	/* Manifests that were seen, for the message if none is chosen. */
	char seen[200];
	/* The chosen manifest, and its digest. */
	json_t *manifest;
	char digest[HASH_DIGEST_LEN + 1];
	unsigned candidates;
};

static const char *const manifest_types[] = {
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
};
static const char *const index_types[] = {
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
};
static const char *const layer_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
};

static int oci_choose(struct oci *oci, json_t *index, bool is_chosen, unsigned depth,
		      struct error *err);
static int oci_take_manifest(struct oci *oci, json_t *descriptor, struct error *err);
static int oci_read_layout(struct oci *oci, struct error *err);
static int oci_read_docker(struct oci *oci, struct error *err);
static int oci_check_config(struct oci *oci, json_t *config, const char *digest, struct error *err);

static bool
oci_is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; text && i < n; i++) {
		if (!strcmp(text, list[i]))
			return true;
	}
	return false;
}

static const char *
oci_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool
oci_recognizes(const char *source)
{
	auto_free char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/oci-layout", source) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0;
}

/* Splits "PATH[:NAME]" or "PATH@sha256:..." unless a file has the whole name. */
static char *
oci_split(const char *source, const char **wanted)
{
	char *copy = strdup(source), *at;
	struct stat st;

	*wanted = NULL;
	if (!copy || stat(copy, &st) == 0)
		return copy;
	at = strstr(copy, "@sha256:");
	/* A name may have colons, too: "registry:5000/name:tag". */
	for (char *colon = strchr(copy, ':'); !at && colon; colon = strchr(colon + 1, ':')) {
		*colon = '\0';
		if (stat(copy, &st) == 0)
			at = colon;
		*colon = ':';
	}
	if (at) {
		*at = '\0';
		*wanted = at + 1;
	}
	return copy;
}

static int
oci_read(struct build *build, const char *source, struct error *err)
{
	struct oci oci = {
		.build = build,
		.store = IMAGE_INIT,
		.arch = arch_find(build->spec->arch)->oci,
	};
	auto_free char *path = oci_split(source, &oci.wanted);
	int r;

	if (!path)
		return error_nomem(err, "reading an image");
	r = oci_store_load(&oci.store, build, path, err);
	if (r == 0) {
		if (image_find(&oci.store, "index.json"))
			r = oci_read_layout(&oci, err);
		else if (image_find(&oci.store, "manifest.json"))
			r = oci_read_docker(&oci, err);
		else
			r = error_set(err, ERROR_INVALID_ARGUMENT,
				      "no index.json or manifest.json: not a container image");
	}
	json_decref(oci.manifest);
	image_release(&oci.store);
	return r < 0 ? error_wrap(err, "failed to read the image %s", path) : 0;
}

static int
oci_read_layout(struct oci *oci, struct error *err)
{
	json_t *layout = NULL, *index = NULL, *config = NULL, *layers, *diff_ids;
	const char *version, *digest;
	char found[HASH_DIGEST_LEN + 1];
	int r;

	if (oci_store_json(&oci->store, "oci-layout", NULL, found, &layout, err) < 0)
		return -1;
	version = oci_text(layout, "imageLayoutVersion");
	r = version && !strncmp(version, "1.", 2)
		    ? 0
		    : error_set(err, ERROR_UNIMPLEMENTED, "unsupported version %.40s of the layout",
				version ? version : "(none)");
	json_decref(layout);
	if (r < 0 || oci_store_json(&oci->store, "index.json", NULL, found, &index, err) < 0)
		return -1;
	r = oci_choose(oci, index, !oci->wanted, 0, err);
	json_decref(index);
	if (r < 0)
		return -1;
	if (!oci->manifest)
		return error_set(err, ERROR_NOT_FOUND, "no image %s%sfor linux/%s; there is %s",
				 oci->wanted ? oci->wanted : "", oci->wanted ? " " : "", oci->arch,
				 oci->seen[0] ? oci->seen : "none");
	if (oci->candidates > 1)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%u images match; name one of %s after a colon", oci->candidates,
				 oci->seen);
	digest = oci_text(json_object_get(oci->manifest, "config"), "digest");
	if (oci_store_blob(&oci->store, digest, &config, err) < 0)
		return error_wrap(err, "failed to load the configuration");
	layers = json_object_get(oci->manifest, "layers");
	diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	r = oci_check_config(oci, config, digest, err);
	if (r == 0 &&
	    (!json_is_array(layers) || json_array_size(layers) != json_array_size(diff_ids)))
		r = error_set(err, ERROR_INVALID_ARGUMENT,
			      "manifest and configuration differ in the number of layers");
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		json_t *layer = json_array_get(layers, i);
		const char *type = oci_text(layer, "mediaType");
		char path[OCI_PATH_LEN + 1];

		digest = oci_text(layer, "digest");
		if (!oci_is_one_of(type, layer_types, ARRAY_LEN(layer_types)))
			r = error_set(err, ERROR_UNIMPLEMENTED, "layer of the unsupported type %s",
				      type ? type : "(none)");
		else
			r = oci_store_path(digest, path, err);
		report_step(oci->build->report, "reading layer %zu of %zu", i + 1,
			    json_array_size(layers));
		if (r == 0)
			r = oci_layer_add(oci->build, &oci->store, path, digest,
					  json_string_value(json_array_get(diff_ids, i)), err);
	}
	json_decref(config);
	if (r == 0)
		report_fact(oci->build->report, "image_manifest", oci->digest);
	return r;
}

/* Notes a manifest for messages. */
static void
oci_note(struct oci *oci, const char *name, const char *platform)
{
	size_t n = strlen(oci->seen);

	(void)snprintf(oci->seen + n, sizeof(oci->seen) - n, "%s%.60s%s%s", n ? ", " : "", name,
		       platform ? " for " : "", platform ? platform : "");
}

static bool
oci_matches(const struct oci *oci, const json_t *descriptor)
{
	static const char *const keys[] = { "org.opencontainers.image.ref.name",
					    "io.containerd.image.name" };
	const json_t *annotations = json_object_get(descriptor, "annotations");
	const char *digest = oci_text(descriptor, "digest");

	if (digest && !strcmp(digest, oci->wanted))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *name = oci_text(annotations, keys[i]);
		const char *colon = name ? strrchr(name, ':') : NULL;

		if (name && !strcmp(name, oci->wanted))
			return true;
		/* The tag of "registry/name:tag". */
		if (colon && !strcmp(colon + 1, oci->wanted))
			return true;
	}
	return false;
}

/* Searches an index. With is_chosen its parent was asked for, and only the platform decides. */
static int
oci_choose(struct oci *oci, json_t *index, bool is_chosen, unsigned depth, struct error *err)
{
	json_t *manifests = json_object_get(index, "manifests"), *descriptor, *inner;
	size_t i;

	if (!json_is_array(manifests))
		return error_set(err, ERROR_INVALID_ARGUMENT, "index without manifests");
	if (depth == INDEX_DEPTH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "indexes are nested too deeply");
	json_array_foreach(manifests, i, descriptor)
	{
		const char *type = oci_text(descriptor, "mediaType");
		const json_t *platform = json_object_get(descriptor, "platform");
		const char *os = oci_text(platform, "os"),
			   *arch = oci_text(platform, "architecture");
		const char *name = oci_text(json_object_get(descriptor, "annotations"),
					    "org.opencontainers.image.ref.name");
		bool chosen = is_chosen || oci_matches(oci, descriptor);
		int r;

		if (oci_is_one_of(type, index_types, ARRAY_LEN(index_types))) {
			if (oci_store_blob(&oci->store, oci_text(descriptor, "digest"), &inner,
					   err) < 0)
				return error_wrap(err, "failed to load an index");
			r = oci_choose(oci, inner, chosen, depth + 1, err);
			json_decref(inner);
			if (r < 0)
				return -1;
			continue;
		}
		if (!oci_is_one_of(type, manifest_types, ARRAY_LEN(manifest_types)))
			continue;
		/* Attestations are manifests for "unknown/unknown". */
		if (os && !strcmp(os, "unknown"))
			continue;
		oci_note(oci, name ? name : (oci_text(descriptor, "digest") ?: "?"), arch);
		if (!chosen || (os && strcmp(os, "linux") != 0) ||
		    (arch && strcmp(arch, oci->arch) != 0))
			continue;
		if (oci_take_manifest(oci, descriptor, err) < 0)
			return -1;
	}
	return 0;
}

static int
oci_take_manifest(struct oci *oci, json_t *descriptor, struct error *err)
{
	const char *digest = oci_text(descriptor, "digest");

	/* Two names of one image. */
	if (oci->manifest && digest && !strcmp(oci->digest, digest))
		return 0;
	oci->candidates++;
	if (oci->manifest)
		return 0;
	if (oci_store_blob(&oci->store, digest, &oci->manifest, err) < 0)
		return error_wrap(err, "failed to load the manifest");
	memcpy(oci->digest, digest, sizeof(oci->digest));
	return 0;
}

static int
oci_check_config(struct oci *oci, json_t *config, const char *digest, struct error *err)
{
	const char *os = oci_text(config, "os"), *arch = oci_text(config, "architecture");

	if (!json_is_array(json_object_get(json_object_get(config, "rootfs"), "diff_ids")))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the configuration is not that of a container image");
	json_decref(oci->build->config);
	oci->build->config = json_incref(config);
	(void)snprintf(oci->build->config_digest, sizeof(oci->build->config_digest), "%s", digest);
	if ((os && strcmp(os, "linux") != 0) || (arch && strcmp(arch, oci->arch) != 0))
		return error_set(err, ERROR_NOT_FOUND, "the image is for %s/%s, not for linux/%s",
				 os ? os : "?", arch ? arch : "?", oci->arch);
	return 0;
}

/* Tells whether one of the tags of an image in manifest.json is wanted. */
static bool
oci_has_tag(const struct oci *oci, const json_t *image)
{
	const json_t *tags = json_object_get(image, "RepoTags");
	const char *config = oci_text(image, "Config");

	if (!oci->wanted)
		return true;
	if (config && !strncmp(oci->wanted, "sha256:", 7) && strstr(config, oci->wanted + 7))
		return true;
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		const char *colon = tag ? strrchr(tag, ':') : NULL;

		if (tag &&
		    (!strcmp(tag, oci->wanted) || (colon && !strcmp(colon + 1, oci->wanted))))
			return true;
	}
	return false;
}

static int
oci_read_docker(struct oci *oci, struct error *err)
{
	json_t *images = NULL, *config = NULL, *layers, *diff_ids, *chosen = NULL;
	char found[HASH_DIGEST_LEN + 1];
	const char *path;
	int r = -1;

	if (oci_store_json(&oci->store, "manifest.json", NULL, found, &images, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(images); i++) {
		json_t *image = json_array_get(images, i);

		oci_note(oci,
			 json_string_value(json_array_get(json_object_get(image, "RepoTags"), 0))
				 ?: "(no name)",
			 NULL);
		if (!oci_has_tag(oci, image))
			continue;
		chosen = image;
		oci->candidates++;
	}
	if (oci->candidates != 1) {
		error_set(err, oci->candidates ? ERROR_INVALID_ARGUMENT : ERROR_NOT_FOUND,
			  oci->candidates ? "%u images match; name one of %s after a colon"
					  : "%u images match; there is %s",
			  oci->candidates, oci->seen[0] ? oci->seen : "none");
		goto out;
	}
	path = oci_text(chosen, "Config");
	if (!path) {
		error_set(err, ERROR_INVALID_ARGUMENT, "manifest.json: image without Config");
		goto out;
	}
	if (oci_store_json(&oci->store, path, NULL, found, &config, err) < 0 ||
	    oci_check_config(oci, config, found, err) < 0)
		goto out;
	layers = json_object_get(chosen, "Layers");
	diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	if (json_array_size(layers) != json_array_size(diff_ids)) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "manifest and configuration differ in the number of layers");
		goto out;
	}
	r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		path = json_string_value(json_array_get(layers, i));
		report_step(oci->build->report, "reading layer %zu of %zu", i + 1,
			    json_array_size(layers));
		r = oci_layer_add(oci->build, &oci->store, path ? path : "", NULL,
				  json_string_value(json_array_get(diff_ids, i)), err);
	}
out:
	json_decref(config);
	json_decref(images);
	return r;
}

const struct input_kind input_oci = {
	.name = "oci",
	.help = "an OCI image layout, a tar of one, or a docker archive: PATH[:TAG|@DIGEST]",
	.recognizes = oci_recognizes,
	.read = oci_read,
};
